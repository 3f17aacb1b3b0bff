"""What a dataset consists of: the records that every format's reader yields.

Ids are the dataset's own, as text. Items and entities share one id space, since a fact may join any two of them.
A reader yields nodes before the edges that use them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cikg.schema import Split

if TYPE_CHECKING:
    from cikg.datasets.reading.source import Source


@dataclass(frozen=True, slots=True)
class User:
    """Someone who interacts with items."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can be recommended; `text` describes it in words."""

    id: str
    name: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """Something that items have to do with: an author, a genre, a place."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Fact:
    """`head` stands in `relation` to `tail`; both are ids of items or entities."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a user did with an item. `at` is in seconds since 1970, where it is known."""

    user: str
    item: str
    split: Split = Split.TRAIN
    rating: float | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest inferred elsewhere and imported; it may have no name."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class HasInterest:
    """An imported statement that a user has an interest. It comes without evidence."""

    user: str
    interest: str


@dataclass(frozen=True, slots=True)
class KnowledgeNode:
    """A node that jobs or people made, or what they added to one of the data, as an archive keeps it.

    Attributes:
        label: its label.
        key: its uid without the dataset's name; empty for the dataset itself.
        properties: see `cikg.datasets.knowledge`.
    """

    label: str
    key: str
    properties: str


@dataclass(frozen=True, slots=True)
class KnowledgeEdge:
    """An edge that jobs or people made, as an archive keeps it: type, label and key of both ends, properties."""

    type: str
    source_label: str
    source: str
    target_label: str
    target: str
    properties: str


Record = User | Item | Entity | Fact | Interaction | Interest | HasInterest | KnowledgeNode | KnowledgeEdge


@dataclass(frozen=True)
class Format:
    """A dataset format: a module of `cikg.datasets.formats` defines one as `FORMAT`, and is found by it.

    Attributes:
        name: what the person types after `cikg import`.
        help: one sentence about what is expected at the path.
        read: yields the records of a source, nodes before the edges that use them; rejects single rows, and raises
            `InputError` with file and line where all is unusable. All of it is read and checked before anything is
            written.
        field: what the items are, in the plural, for prompts and pages (`books`).
        needs_path: False where the data comes with the platform.
    """

    name: str
    help: str
    read: Callable[[Source], Iterator[Record]]
    field: str = "items"
    needs_path: bool = True
