"""Splits a dataset into train, valid and test.

Whatever is drawn depends on the seed and on ids alone: users who come or go do not change the split of the others, and
the same dataset is split alike wherever it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from cikg.datasets.records import Item, User
from cikg.datasets.tables import NEVER, Indices, Interactions, Tables
from cikg.errors import InputError
from cikg.schema import SplitCode

TEST_SHARE, VALID_SHARE = 0.2, 0.125
"""What is taken where nothing else is said: a fifth for test, and an eighth of the rest (a tenth of all) for valid."""

Mask = npt.NDArray[np.bool_]


class SplitKind(StrEnum):
    """Ways to split."""

    GIVEN = "given"
    RATIO = "ratio"
    LEAVE_ONE_OUT = "leave-one-out"
    TEMPORAL = "temporal"


@dataclass(frozen=True)
class SplitRule:
    """How to split.

    Attributes:
        kind: `given` takes the test split of the source, `ratio` draws a share of each user's interactions,
            `leave-one-out` takes each user's last for test and the one before for valid, `temporal` cuts at two moments
            that are the same for all. None: `given` where the source has a test split, else `ratio`.
        test_share: of all interactions, from 0 to below 1. None: 0.2.
        valid_share: of those that are not test, from 0 to below 1. None: 0.125.
        seed: of everything drawn; any integer.

    Raises:
        InputError: a share is out of range, or has no meaning for this kind.
    """

    kind: SplitKind | None = None
    test_share: float | None = None
    valid_share: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, share in (("test", self.test_share), ("valid", self.valid_share)):
            if share is not None and not 0 <= share < 1:
                raise InputError(f"the {name} share cannot be {share}", cure="Give a number of at least 0 and below 1")
            if share is not None and self.kind is SplitKind.LEAVE_ONE_OUT:
                raise InputError(f"a leave-one-out split has no {name} share", cure="Leave it out")
        if self.kind is SplitKind.GIVEN and self.test_share is not None:
            raise InputError(
                "a given split has its own test share", cure="Leave it out, or choose the split ratio or temporal"
            )


@dataclass(frozen=True)
class AppliedSplit:
    """How a dataset was split; None for what had no part in it.

    Attributes:
        kind, test_share, valid_share, seed: as in `SplitRule`.
        valid_from, test_from: the first moments of valid and test, in seconds since 1970.
    """

    kind: SplitKind
    test_share: float | None = None
    valid_share: float | None = None
    seed: int | None = None
    valid_from: int | None = None
    test_from: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """What the dataset's node remembers."""
        return {
            "split": str(self.kind),
            "test_share": self.test_share,
            "valid_share": self.valid_share,
            "split_seed": self.seed,
            "valid_from": self.valid_from,
            "test_from": self.test_from,
        }

    @classmethod
    def of(cls, found: dict[str, Any]) -> AppliedSplit:
        """What `as_dict` was made of."""
        return cls(
            SplitKind(found["split"] or SplitKind.GIVEN),
            *(found[name] for name in ("test_share", "valid_share", "split_seed", "valid_from", "test_from")),
        )


def split(tables: Tables, rule: SplitRule) -> tuple[Tables, AppliedSplit]:
    """Split a dataset; returns it with its new splits, and how they came about.

    Raises:
        InputError: the rule does not fit the dataset: it lacks times, or has a split of its own.
    """
    table = tables.interactions
    kind = rule.kind
    if kind is None:
        kind = SplitKind.GIVEN if (table.split == SplitCode.TEST).any() else SplitKind.RATIO
        if kind is SplitKind.GIVEN and rule.test_share is not None:
            raise InputError(
                "the source has a test split of its own",
                cure="To split it differently, choose the split ratio or temporal",
            )
    rule = replace(rule, kind=kind)
    match kind:
        case SplitKind.GIVEN:
            codes, applied = _given(tables, rule)
        case SplitKind.RATIO:
            codes, applied = _ratio(tables, rule)
        case SplitKind.LEAVE_ONE_OUT:
            codes, applied = _leave_one_out(tables, rule)
        case SplitKind.TEMPORAL:
            codes, applied = _temporal(table, rule)
    return replace(tables, interactions=replace(table, split=codes)), applied


_Codes = npt.NDArray[np.int8]


def _shares(rule: SplitRule) -> tuple[float, float]:
    test = TEST_SHARE if rule.test_share is None else rule.test_share
    return test, VALID_SHARE if rule.valid_share is None else rule.valid_share


def _given(tables: Tables, rule: SplitRule) -> tuple[_Codes, AppliedSplit]:
    """The source's splits, and a valid split cut from train where it has none."""
    codes = tables.interactions.split
    if (codes == SplitCode.VALID).any():
        if rule.valid_share:
            raise InputError("the source has a validation split of its own", cure="Leave out the valid share")
        return codes, AppliedSplit(SplitKind.GIVEN)
    _, share = _shares(rule)
    codes = codes.copy()
    codes[_drawn(tables, codes == SplitCode.TRAIN, share, rule.seed, "valid")] = SplitCode.VALID
    return codes, AppliedSplit(SplitKind.GIVEN, valid_share=share, seed=rule.seed)


def _ratio(tables: Tables, rule: SplitRule) -> tuple[_Codes, AppliedSplit]:
    """A share of each user's interactions for test, and of the others for valid."""
    test_share, valid_share = _shares(rule)
    everything = np.ones(len(tables.interactions.split), dtype=bool)
    test = _drawn(tables, everything, test_share, rule.seed, "test")
    valid = _drawn(tables, ~test, valid_share, rule.seed, "valid")
    return _codes(valid, test), AppliedSplit(SplitKind.RATIO, test_share, valid_share, rule.seed)


def _leave_one_out(tables: Tables, rule: SplitRule) -> tuple[_Codes, AppliedSplit]:
    """Each user's last interaction for test and the one before for valid, as far as one is left for train.

    Of interactions at the same or at no known time the seed decides.
    """
    table = tables.interactions
    from_last = _ranks(table.user_index, (_draws(tables, rule.seed, "last"), ~table.at))
    each = np.bincount(table.user_index, minlength=len(tables.users))[table.user_index]
    codes = _codes((from_last == 1) & (each > 2), (from_last == 0) & (each > 1))
    return codes, AppliedSplit(SplitKind.LEAVE_ONE_OUT, seed=rule.seed)


def _temporal(table: Interactions, rule: SplitRule) -> tuple[_Codes, AppliedSplit]:
    """Train, then valid, then test in time. The moments are those that come nearest to the shares."""
    untimed = int((table.at == NEVER).sum())
    if untimed:
        raise InputError(
            f"{untimed:,} of {len(table.at):,} interactions have no time, which a temporal split needs",
            cure="Choose another split",
        )
    test_share, valid_share = _shares(rule)
    times = np.sort(table.at)
    first_test = _nearest_change(times, len(times) * (1 - test_share))
    first_valid = _nearest_change(times[:first_test], first_test * (1 - valid_share))
    if first_valid == 0 or (valid_share and first_valid == first_test) or (test_share and first_test == len(times)):
        raise InputError(
            "the interactions have too few different times to split by", cure="Choose another split, or other shares"
        )
    test_from = int(times[first_test]) if first_test < len(times) else None
    valid_from = int(times[first_valid]) if first_valid < first_test else None
    test = np.zeros(len(table.at), dtype=bool) if test_from is None else table.at >= test_from
    valid = np.zeros(len(table.at), dtype=bool) if valid_from is None else (table.at >= valid_from) & ~test
    applied = AppliedSplit(SplitKind.TEMPORAL, test_share, valid_share, valid_from=valid_from, test_from=test_from)
    return _codes(valid, test), applied


def _nearest_change(times: npt.NDArray[np.int64], position: float) -> int:
    """The place in sorted times nearest to `position` where a new time begins; their beginning and end are such."""
    if not len(times):
        return 0
    within = times[min(int(position), len(times) - 1)]
    places = [int(np.searchsorted(times, within, side=side)) for side in ("left", "right")]
    return min(places, key=lambda place: abs(place - position))


def _codes(valid: Mask, test: Mask) -> _Codes:
    codes = np.full(len(test), SplitCode.TRAIN, dtype=np.int8)
    codes[valid], codes[test] = SplitCode.VALID, SplitCode.TEST
    return codes


def _drawn(tables: Tables, among: Mask, share: float, seed: int, purpose: str) -> Mask:
    """Which of some interactions are drawn.

    A user with n of them gives ⌊n·share + u⌋, where u is uniform in [0, 1): the expected share is exact for every n.
    The last one always stays.
    """
    users = tables.interactions.user_index[among]
    each = np.bincount(users, minlength=len(tables.users))
    uniform = _hashes(tables.users, seed, f"{purpose} size") / 2.0**64
    sizes = np.minimum(np.floor(each * share + uniform), each - 1)
    drawn = np.zeros(len(among), dtype=bool)
    drawn[among] = _ranks(users, (_draws(tables, seed, purpose)[among],)) < sizes[users]
    return drawn


def _ranks(users: Indices, keys: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[np.int64]:
    """The place of each interaction among those of its user, from 0, in the order of keys; the last key weighs most."""
    order = np.lexsort((*keys, users))
    first = np.searchsorted(users[order], users)
    ranks = np.empty(len(users), dtype=np.int64)
    ranks[order] = np.arange(len(users))
    return ranks - first


def _draws(tables: Tables, seed: int, purpose: str) -> npt.NDArray[np.uint64]:
    """A random number for each interaction: the hashes of its user and its item, mixed as SplitMix64 does."""
    table = tables.interactions
    users, items = (_hashes(nodes, seed, purpose) for nodes in (tables.users, tables.items))
    mixed: npt.NDArray[np.uint64] = users[table.user_index] + np.uint64(0x9E3779B97F4A7C15) * items[table.item_index]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _hashes(nodes: Sequence[User | Item], seed: int, purpose: str) -> npt.NDArray[np.uint64]:
    """64 bits for each node, from its id."""
    key = hashlib.blake2b(repr((seed, purpose)).encode(), digest_size=16).digest()
    digests = (hashlib.blake2b(node.id.encode(), key=key, digest_size=8).digest() for node in nodes)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
