"""The checks on a dataset as a whole, and its canonical order."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cikg.datasets.batches import batches, total_rows
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.tables import collect
from cikg.errors import InputError
from cikg.schema import Split

NODES: list[Record] = [User("u"), User("v"), Item("i", "I"), Item("j", "J"), Entity("e", "E"), Interest("n")]
EDGES: list[Record] = [
    Interaction("u", "i"),
    Interaction("v", "j", Split.TEST, rating=4.5, at=7),
    Fact("i", "genre", "e"),
    Fact("e", "genre", "j"),
    HasInterest("u", "n"),
]


def test_the_order_of_rows_does_not_matter() -> None:
    shuffled = [random.Random(1).sample(part, len(part)) for part in (NODES, EDGES)]
    assert collect(NODES + EDGES).digest() == collect(shuffled[0] + shuffled[1]).digest()


@pytest.mark.parametrize(
    "change",
    [
        Interaction("u", "j"),
        Fact("i", "genre", "j"),
        Fact("i", "author", "e"),
        HasInterest("v", "n"),
        Interaction("v", "j", Split.TEST, rating=4.0, at=8),
    ],
)
def test_any_change_shows_in_the_digest(change: Record) -> None:
    assert collect(NODES + EDGES).digest() != collect([*NODES, *EDGES, change]).digest()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (User("u", "another name"), "'u' of a user occurs again"),
        (Item("i", "again"), "'i' of an item occurs again"),
        (Entity("i", "an item's id"), "'i' of an entity is also that of an item"),
        (Item("e", "an entity's id"), "'e' of an item is also that of an entity"),
        (User(""), "cannot be the id"),
        (User("a\nb"), "cannot be the id"),
        (User("\ud800"), "cannot be the id"),
        (User("a" * 501), "the id of a user has 501 characters"),
        (Item("long", "L", "a" * 1_000_001), "a text of an item 'long' is longer than 1,000,000 characters"),
        (Interaction("w", "i"), "an interaction names a user 'w'"),
        (Interaction("u", "e"), "an interaction names an item 'e'"),
        (Interaction("u", "j", rating=math.inf), "the rating inf is not a finite number"),
        (Interaction("u", "j", at=1_700_000_000_000), "the time 1700000000000 is not in the years"),
        (Fact("i", "genre", "x"), "a fact names an entity 'x'"),
        (Fact("i", "…", "e"), "no letter or digit"),
        (HasInterest("u", "x"), "an interest edge names an interest 'x'"),
    ],
)
def test_a_record_that_cannot_be_used_is_rejected_where_the_reader_stands(record: Record, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        collect([*NODES, *EDGES, record])
    assert reason in str(caught.value)

    source = Source(Path("folder"))

    def reader() -> Iterator[Record]:
        for line, entry in enumerate([*NODES, *EDGES, record], start=1):
            source.row(Path("folder/file"), line, f"row {line}")
            yield entry

    assert collect(reader(), source).digest() == collect(NODES + EDGES).digest()
    (rejected,) = source.rejected
    assert (rejected.file, rejected.line, rejected.row) == (Path("folder/file"), 12, "row 12")
    assert reason in rejected.reason


def test_an_interaction_in_two_splits_is_refused() -> None:
    with pytest.raises(InputError, match="user 'u' has item 'i' in both train and test"):
        collect([*NODES, *EDGES, Interaction("u", "i", Split.TEST)], Source(None))


def test_a_repeated_node_is_no_other_one() -> None:
    found = collect([*NODES, *NODES, *EDGES])
    assert found.duplicates["nodes"] == len(NODES)
    assert found.digest() == collect(NODES + EDGES).digest()


def test_halves_of_a_pair_are_replaced_in_texts() -> None:
    """JSON can hold them, UTF-8 and so the database cannot."""
    found = collect([*NODES, *EDGES, Item("k", "caf\u00e9 \ud83d", "\udc00")])
    assert found.items[-1] == Item("k", "caf\u00e9 \ufffd", "\ufffd")


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(InputError, match="no interaction"):
        collect(NODES)


def test_of_a_repeated_interaction_the_latest_is_kept() -> None:
    repeated = [Interaction("u", "i", rating=1.0, at=30), Interaction("u", "i", rating=5.0, at=20)]
    found = collect([*NODES, *repeated])
    assert found.interactions.rating.tolist() == [1.0]
    assert found.duplicates["interactions"] == 1


def test_batches_cover_every_row_once_wherever_they_begin() -> None:
    tables = collect(NODES + EDGES)
    whole = list(batches(tables, "d", "run"))
    assert whole[0].start == 0 and whole[-1].end == total_rows(tables) == 6 + 5
    assert all(one.end == other.start for one, other in itertools.pairwise(whole))
    for done in range(total_rows(tables) + 1):
        rest = list(batches(tables, "d", "run", done))
        assert sum(batch.end - batch.start for batch in rest) == total_rows(tables) - done
        assert not rest or rest[0].start == done


def test_a_batch_holds_so_many_characters_or_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cikg.datasets.batches.CHARACTERS", 100)
    lengths = [10, 40, 60, 300, 5, 5, 99, 100, 101, 1]
    items = [Item(f"i{number}", "I", "t" * length) for number, length in enumerate(lengths)]
    tables = collect([User("u"), *items, Interaction("u", "i0")])
    for done in range(1, 11):
        parts = [batch for batch in batches(tables, "d", "run", done) if batch.statement == "import_items"]
        rows = [row for batch in parts for row in batch.parameters["rows"]]
        assert [len(row[3]) for row in rows] == lengths[done - 1 :]
        sizes = [[sum(map(len, row[1:])) for row in batch.parameters["rows"]] for batch in parts]
        assert all(sum(size) <= 100 or len(size) == 1 for size in sizes)
        assert all(sum(one) + other[0] > 100 for one, other in itertools.pairwise(sizes)), (
            "none is smaller than need be"
        )
