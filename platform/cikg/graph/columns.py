"""The tables of a snapshot: what their columns mean. `cikg.graph.snapshot` says where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cikg.graph.texts import Texts

Index = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Nodes:
    """Nodes of one kind: position i is index i. Numeric ids come first, by value, then the others as text.

    Args:
        packed_ids: the column of ids.
        packed_names: the column of names.
    """

    packed_ids: Texts
    packed_names: Texts

    def __len__(self) -> int:
        return len(self.packed_ids)

    @cached_property
    def ids(self) -> list[str]:
        """The dataset's own ids."""
        return list(self.packed_ids)

    @cached_property
    def names(self) -> list[str]:
        """What to show; the id where there is no name."""
        return list(self.packed_names)

    @cached_property
    def index(self) -> dict[str, int]:
        """The index of each id."""
        return {identifier: index for index, identifier in enumerate(self.ids)}


@dataclass(frozen=True)
class Interactions:
    """Each pair of user and item once, sorted. Shape of every column: (interactions,).

    Attributes:
        user_index, item_index: who and what.
        split: 0 train, 1 valid, 2 test.
        rating: NaN where there is none.
        at: seconds since 1970; `NEVER` where unknown.
    """

    user_index: Index
    item_index: Index
    split: npt.NDArray[np.int8]
    rating: npt.NDArray[np.float32]
    at: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """Facts between things: items 0 … I-1, then entities I … I+E-1. Sorted. Shape of every column: (facts,)."""

    head_index: Index
    relation_index: Index
    tail_index: Index


@dataclass(frozen=True)
class HasInterest:
    """Who has which interest, each pair once, sorted. Shape of every column: (edges,).

    Attributes:
        user_index, interest_index: who and what.
        from_evidence: True where the edge names the train interactions it was inferred from. An imported edge does
            not: it may know what is in valid.
    """

    user_index: Index
    interest_index: Index
    from_evidence: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Possesses:
    """Who has which intent, each pair once, sorted. Shape of every column: (edges,).

    Attributes:
        user_index, intent_index: who and what.
        round: 1 where the model read it out of the history, 2 where it found it related; 0 where that is not known.
    """

    user_index: Index
    intent_index: Index
    round: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Satisfies:
    """Which item satisfies which intent, each pair once, sorted; columns as those of `Possesses`."""

    item_index: Index
    intent_index: Index
    round: npt.NDArray[np.int8]


@dataclass(frozen=True)
class MemberOf:
    """Which intent belongs to which interest, each pair once, sorted. Shape of every column: (edges,)."""

    intent_index: Index
    interest_index: Index
