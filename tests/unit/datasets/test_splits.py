"""Splits: each way keeps what it promises, whatever the dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.records import Interaction, Item, Record, User
from cikg.datasets.splits import SplitKind, SplitRule, split
from cikg.datasets.tables import SPLITS, Tables, collect
from cikg.errors import InputError
from cikg.schema import Split, SplitCode

Key = tuple[str, str]
Found = dict[Key, str]

GIVEN, RATIO, LAST, TEMPORAL = SplitKind


def readers(count: int, items: int, split: Callable[[int], Split] = lambda _item: Split.TRAIN) -> Tables:
    """Everybody has every item; the times are those of the items."""
    records: list[Record] = [User(f"u{user}") for user in range(count)]
    records += [Item(f"i{item}", "") for item in range(items)]
    records += [
        Interaction(f"u{user}", f"i{item}", split(item), at=item) for user in range(count) for item in range(items)
    ]
    return collect(records)


def of(pairs: Mapping[Key, int | None]) -> Tables:
    """Who has what, and since when."""
    records: list[Record] = [User(user) for user in sorted({user for user, _ in pairs})]
    records += [Item(item, "") for item in sorted({item for _, item in pairs})]
    return collect([*records, *(Interaction(*pair, at=at) for pair, at in pairs.items())])


def splits(tables: Tables, rule: SplitRule) -> Found:
    """The split of each pair of user and item."""
    found, applied = split(tables, rule)
    assert rule.kind is None or applied.kind is rule.kind
    before, after = tables.interactions, found.interactions
    assert all((vars(before)[name] == vars(after)[name]).all() for name in ("user_index", "item_index", "at"))
    return {
        (found.users[user].id, found.items[item].id): str(SPLITS[code])
        for user, item, code in zip(after.user_index, after.item_index, after.split, strict=True)
    }


def by_user(found: Found) -> dict[str, list[str]]:
    each: dict[str, list[str]] = {}
    for (user, _), name in found.items():
        each.setdefault(user, []).append(name)
    return each


IDS = st.integers(0, 12).map(str)
SHARES = st.floats(0, 0.99)
SEEDS = st.integers(-(2**70), 2**70)
PAIRS = st.dictionaries(st.tuples(IDS, IDS), st.integers(0, 8), min_size=1, max_size=60)
"""Few users, items and times, so that times are often the same."""


@given(PAIRS, SHARES, SHARES, SEEDS, st.sampled_from([RATIO, LAST]))
def test_every_user_keeps_something_to_train_on(
    pairs: dict[Key, int], test: float, valid: float, seed: int, kind: SplitKind
) -> None:
    rule = SplitRule(kind, test, valid, seed) if kind is RATIO else SplitRule(kind, seed=seed)
    found = splits(of(pairs), rule)
    assert found.keys() == pairs.keys()
    assert all("train" in names for names in by_user(found).values())


@given(PAIRS, SHARES, SHARES, SEEDS)
def test_the_split_of_a_user_depends_on_nobody_else(
    pairs: dict[Key, int], test: float, valid: float, seed: int
) -> None:
    stays = next(iter(pairs))[0]
    alone = {(user, item): at for (user, item), at in pairs.items() if user == stays}
    for rule in (SplitRule(RATIO, test, valid, seed), SplitRule(LAST, seed=seed)):
        found = splits(of(pairs), rule)
        assert splits(of(alone), rule) == {pair: found[pair] for pair in alone}


def test_the_shares_are_the_expected_ones() -> None:
    found = splits(readers(3_000, 13), SplitRule(RATIO, 0.3, 0.2))
    each = list(by_user(found).values())
    assert {names.count("test") for names in each} == {3, 4}  # 13 · 0.3 = 3.9
    assert np.mean([names.count("test") for names in each]) == pytest.approx(3.9, abs=0.03)
    assert np.mean([names.count("valid") for names in each]) == pytest.approx(9.1 * 0.2, abs=0.03)
    for name in ("test", "valid"):
        drawn = np.bincount([int(item[1:]) for (_, item), split in found.items() if split == name], minlength=13)
        assert drawn.min() > 0.8 * drawn.mean(), "some items are hardly ever drawn"


def test_users_of_the_same_items_are_drawn_apart() -> None:
    found = splits(readers(400, 10), SplitRule(RATIO, 0.2))
    tests = {user: frozenset(i for (u, i), name in found.items() if (u, name) == (user, "test")) for user, _ in found}
    assert len(set(tests.values())) > 40, "the 45 pairs of ten items"


def test_the_seed_decides() -> None:
    tables = readers(40, 20)
    assert splits(tables, SplitRule(RATIO, seed=1)) == splits(tables, SplitRule(RATIO, seed=1))
    assert splits(tables, SplitRule(RATIO, seed=1)) != splits(tables, SplitRule(RATIO, seed=2))
    untimed = of({(f"u{user}", f"i{item}"): None for user in range(9) for item in range(9)})
    assert splits(untimed, SplitRule(LAST, seed=1)) == splits(untimed, SplitRule(LAST, seed=1))
    assert splits(untimed, SplitRule(LAST, seed=1)) != splits(untimed, SplitRule(LAST, seed=2))


@given(PAIRS, SEEDS)
def test_the_last_is_left_out(pairs: dict[Key, int], seed: int) -> None:
    found = splits(of(pairs), SplitRule(LAST, seed=seed))
    for user, names in by_user(found).items():
        times = {
            name: [at for (u, item), at in pairs.items() if u == user and found[u, item] == name]
            for name in ("train", "valid", "test")
        }
        assert [len(times["valid"]), len(times["test"])] == [int(len(names) > 2), int(len(names) > 1)]
        assert max(times["train"]) <= min(times["valid"] + times["test"], default=8)
        assert not times["valid"] or times["valid"] <= times["test"]


def test_what_has_no_time_is_not_last() -> None:
    pairs: dict[Key, int | None] = {("u", f"i{item}"): None for item in range(9)}
    found = splits(of(pairs | {("u", "z"): -5}), SplitRule(LAST))
    assert found["u", "z"] == "test"
    assert sorted(found.values()).count("valid") == 1


@given(PAIRS, SHARES, SHARES)
def test_nothing_is_trained_on_that_is_later_than_a_test(pairs: dict[Key, int], test: float, valid: float) -> None:
    tables = of(pairs)
    try:
        found, applied = split(tables, SplitRule(TEMPORAL, test, valid))
    except InputError as error:
        assert "too few different times" in str(error)
        return
    table = found.interactions
    train, validated, tested = (table.at[table.split == code].tolist() for code in SplitCode)
    assert train
    assert bool(tested) == bool(test) and bool(validated) == bool(valid)
    assert all(max(train) < first for first in [*validated, *tested])
    assert all(max(validated) < first for first in tested if validated)
    assert applied.test_from == min(tested, default=None) and applied.valid_from == min(validated, default=None)


def test_the_moments_come_nearest_to_the_shares() -> None:
    tables = readers(10, 20)
    found, applied = split(tables, SplitRule(TEMPORAL))
    assert np.bincount(found.interactions.split).tolist() == [140, 20, 40]
    assert (applied.valid_from, applied.test_from) == (14, 16)
    _, applied = split(tables, SplitRule(TEMPORAL, 0.22))
    assert applied.test_from == 16, "0.8 is nearer to 0.78 than 0.75"


def test_a_temporal_split_needs_times() -> None:
    with pytest.raises(InputError, match="1 of 2 interactions have no time"):
        split(of({("u", "i"): 1, ("u", "j"): None}), SplitRule(TEMPORAL))
    with pytest.raises(InputError, match="too few different times"):
        split(of({("u", "i"): 1, ("u", "j"): 1}), SplitRule(TEMPORAL))


def test_a_given_test_split_is_kept_and_a_valid_one_cut_from_train() -> None:
    tables = readers(200, 10, lambda item: Split.TEST if item < 2 else Split.TRAIN)
    for kind in (None, GIVEN):
        found = splits(tables, SplitRule(kind))
        assert all((name == "test") == (item in ("i0", "i1")) for (_, item), name in found.items())
        assert {names.count("valid") for names in by_user(found).values()} == {1}  # 8 / 8
    assert "valid" not in splits(tables, SplitRule(valid_share=0.0)).values()
    assert splits(tables, SplitRule(RATIO)) == splits(readers(200, 10), SplitRule(RATIO)), "split anew"


def test_a_given_valid_split_is_kept() -> None:
    tables = readers(20, 10, lambda item: (Split.TEST, Split.VALID, Split.TRAIN)[min(item, 2)])
    found, applied = split(tables, SplitRule())
    assert (found.interactions.split == tables.interactions.split).all()
    assert applied.as_dict() == {
        "split": "given", "test_share": None, "valid_share": None, "split_seed": None, "valid_from": None,
        "test_from": None,
    }  # fmt: skip


def test_without_a_test_split_one_is_drawn() -> None:
    _, applied = split(readers(20, 10), SplitRule())
    assert (applied.kind, applied.test_share, applied.valid_share, applied.seed) == (RATIO, 0.2, 0.125, 0)
    assert "test" not in splits(readers(20, 10), SplitRule(GIVEN)).values()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda: SplitRule(RATIO, 1.0), "the test share cannot be 1.0"),
        (lambda: SplitRule(RATIO, 0.1, -0.1), "the valid share cannot be -0.1"),
        (lambda: SplitRule(LAST, 0.1), "a leave-one-out split has no test share"),
        (lambda: SplitRule(LAST, None, 0.1), "a leave-one-out split has no valid share"),
        (lambda: SplitRule(GIVEN, 0.1), "a given split has its own test share"),
        (lambda: SplitRule(None, 0.1), "the source has a test split of its own"),
        (lambda: SplitRule(None, None, 0.1), "the source has a validation split of its own"),
    ],
)
def test_options_that_would_change_nothing_are_refused(rule: Callable[[], SplitRule], said: str) -> None:
    tables = readers(20, 10, lambda item: (Split.TEST, Split.VALID, Split.TRAIN)[min(item, 2)])
    with pytest.raises(InputError, match=said):
        split(tables, rule())
