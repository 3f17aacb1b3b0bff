"""What filters keep, compared with the same rules carried out on plain sets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.filters import Filters
from cikg.datasets.records import Entity, Fact, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.tables import Tables, collect
from cikg.errors import InputError

Pair = tuple[str, str]


def dataset(pairs: set[Pair]) -> list[Record]:
    """Users and items named 0 to 7, with a genre for each two items, one that has no fact, and an interest a user."""
    numbers = [str(number) for number in range(8)]
    records: list[Record] = [*(User(f"u{n}") for n in numbers), *(Item(f"i{n}", f"Item {n}") for n in numbers)]
    records += [Entity(f"g{n}", f"Genre {n}") for n in range(4)] + [Entity("alone", "Alone"), Interest("nobody's")]
    records += [Interest(f"n{n}") for n in numbers]
    records += [Fact(f"i{n}", "genre" if n < 4 else "kind", f"g{n // 2}") for n in range(8)]
    records += [HasInterest(f"u{n}", f"n{n}") for n in numbers]
    return records + [Interaction(f"u{user}", f"i{item}") for user, item in sorted(pairs)]


def plain_core(pairs: set[Pair], least: int) -> set[Pair]:
    """The definition: take away an interaction whose user or item has too few, as long as there is one."""
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        few = {(user, item) for user, item in pairs if min(users[user], items[item]) < least}
        if not few:
            return pairs
        pairs = pairs - {min(few)}


def pairs_of(tables: Tables) -> set[Pair]:
    table = tables.interactions
    return {
        (tables.users[user].id[1:], tables.items[item].id[1:])
        for user, item in zip(table.user_index, table.item_index, strict=True)
    }


def facts_of(tables: Tables) -> set[tuple[str, str, str]]:
    things = tables.things
    return {
        (things[head].id, name, things[tail].id)
        for name, pairs in tables.facts.items()
        for head, tail in zip(pairs.source_index, pairs.target_index, strict=True)
    }


NUMBERS = st.integers(0, 7).map(str)


@given(st.sets(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40), st.integers(1, 4))
def test_the_core_and_what_hangs_on_it(pairs: set[Pair], least: int) -> None:
    tables, wanted = collect(dataset(pairs)), plain_core(pairs, least)
    if not wanted:
        with pytest.raises(InputError, match=f"no interaction is left when every user and item must have {least}"):
            Filters(core=least).apply(tables)
        return
    found, left_out = Filters(core=least).apply(tables)
    users, items = ({f"{kind}{pair[end]}" for pair in wanted} for end, kind in enumerate("ui"))
    assert pairs_of(found) == wanted
    assert {user.id for user in found.users} == users
    assert {item.id for item in found.items} == items
    facts = {fact for fact in facts_of(tables) if fact[0] in items}
    assert facts_of(found) == facts
    assert set(found.types) == {relation for _, relation, _ in facts}
    assert {entity.id for entity in found.entities} == {"alone"} | {tail for _, _, tail in facts}
    held = {
        (found.users[user].id, found.interests[interest].id)
        for user, interest in zip(found.has_interest.source_index, found.has_interest.target_index, strict=True)
    }
    assert held == {(user, f"n{user[1:]}") for user in users}
    assert {interest.id for interest in found.interests} == {"nobody's"} | {interest for _, interest in held}

    before, after = tables.counts(), found.counts()
    assert left_out == {
        f"{kind}_outside_core": before[kind] - after[kind]
        for kind in ("interactions", "users", "items", "entities", "interests", "facts", "interest_edges")
    }
    nodes = {node.id for kind in (found.users, found.items, found.entities, found.interests) for node in kind}
    mended = [record for record in dataset(wanted) if _stands(record, nodes)]
    assert found.digest() == collect(mended).digest(), "it is as if the others had never been"


def _stands(record: Record, nodes: set[str]) -> bool:
    match record:
        case Fact(head, _, tail):
            return {head, tail} <= nodes
        case HasInterest(user, interest):
            return {user, interest} <= nodes
        case Interaction(user, item):
            return {user, item} <= nodes
        case _:
            return record.id in nodes


RATED: list[Record] = [
    *(User(f"u{n}") for n in range(3)),
    *(Item(f"i{n}", "") for n in range(3)),
    Interaction("u0", "i0", rating=5.0),
    Interaction("u0", "i1", rating=2.0),
    Interaction("u1", "i1", rating=4.0),
    Interaction("u1", "i0"),
    Interaction("u2", "i2", rating=3.5),
]


def test_low_ratings_are_left_out() -> None:
    found, left_out = Filters(min_rating=4.0).apply(collect(RATED))
    assert pairs_of(found) == {("0", "0"), ("1", "1"), ("1", "0")}, "what has no rating stays"
    assert len(found.users) == 3, "nodes stay, for their facts"
    assert left_out == {"interactions_below_min_rating": 2}


def test_the_core_is_one_of_what_ratings_leave() -> None:
    found, left_out = Filters(min_rating=4.0, core=1).apply(collect(RATED))
    assert [user.id for user in found.users] == ["u0", "u1"]
    assert (left_out["interactions_below_min_rating"], left_out["users_outside_core"]) == (2, 1)


def test_no_filter_changes_nothing() -> None:
    tables = collect(RATED)
    assert Filters().apply(tables) == (tables, {})


def test_ratings_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InputError, match=r"no interaction is rated 5\.5 or higher"):
        Filters(min_rating=5.5).apply(collect([record for record in RATED if record != RATED[-2]]))
    with pytest.raises(InputError, match="no interaction has a rating"):
        Filters(min_rating=1).apply(collect([*RATED[:6], Interaction("u1", "i0")]))
