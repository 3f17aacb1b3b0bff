"""Snapshots of a real graph: what they hold, that they repeat to the byte, and that damage is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cikg.datasets import registry
from cikg.datasets.checking import Rules
from cikg.datasets.loader import load
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.splits import SplitKind, SplitRule
from cikg.errors import NotFoundError, SnapshotError
from cikg.graph import Graph
from cikg.graph.snapshot import NEVER, Snapshot, latest, open_snapshot, take
from cikg.schema import Split
from cikg.settings import Settings

AS_GIVEN = Rules(split=SplitRule(SplitKind.GIVEN, valid_share=0.0))
NASTY = [
    "x'}) DETACH DELETE n //",
    '"',
    "`",
    "``) //",
    "\\",
    "\\u0027",
    "é",
    "書",
    "🙂",
    "a b",
    "<script>",
    "null",
    "$x",
]

RECORDS: list[Record] = [
    User("10", "Ann"), User("9"), User("a"),
    Item("2", "Two", "A text"), Item("10", "Ten"), Item("1", "One"),
    Entity("e", "E"), Entity("3", "Three"),
    Interest("n", "Night"), Interest("m"),
    Interaction("10", "1", Split.TRAIN, rating=4.5, at=-3), Interaction("10", "2", Split.VALID),
    Interaction("9", "10", Split.TEST, at=99), Interaction("a", "1"),
    Fact("1", "genre", "e"), Fact("e", "genre", "10"), Fact("2", "by author", "3"), Fact("3", "by author", "e"),
    HasInterest("a", "n"), HasInterest("9", "m"), HasInterest("9", "n"),
]  # fmt: skip


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Record]]:
    """A format `planted` that yields the records in the list that this gives."""
    records = list(RECORDS)
    made = Format(name="planted", help="", read=lambda _path: iter(records), needs_path=False)
    monkeypatch.setattr(registry, "formats", lambda: {"planted": made})
    yield records


def home(settings: Settings, path: Path) -> Settings:
    return settings.model_copy(update={"home": path})


def content(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_columns_hold_the_graph(
    graph: Graph, dataset: str, settings: Settings, tmp_path: Path, planted: list[Record]
) -> None:
    load(graph, "planted", None, dataset)
    snapshot = take(graph, dataset, home(settings, tmp_path))
    assert snapshot.users.ids == ["9", "10", "a"]
    assert snapshot.users.names == ["9", "Ann", "a"]
    assert snapshot.items.ids == ["1", "2", "10"]
    assert list(snapshot.item_text) == ["", "A text", ""]
    assert snapshot.entities.ids == ["3", "e"]
    assert snapshot.interests.names == ["interest m", "Night"]
    table = snapshot.interactions
    assert table.user_index.tolist() == [0, 1, 1, 2]
    assert table.item_index.tolist() == [2, 0, 1, 0]
    assert table.split.tolist() == [2, 0, 1, 0]
    assert table.at.tolist() == [99, -3, NEVER, NEVER]
    np.testing.assert_array_equal(table.rating, np.array([np.nan, 4.5, np.nan, np.nan], dtype=np.float32))
    assert snapshot.relations == ["BY_AUTHOR", "GENRE"]
    facts = snapshot.facts
    assert facts.head_index.tolist() == [0, 1, 3, 4]
    assert facts.relation_index.tolist() == [1, 0, 0, 1]
    assert facts.tail_index.tolist() == [4, 3, 4, 2]
    assert snapshot.has_interest.user_index.tolist() == [0, 0, 2]
    assert snapshot.has_interest.interest_index.tolist() == [0, 1, 1]
    assert snapshot.has_interest.from_evidence.tolist() == [False, False, False]
    assert isinstance(table.user_index.base, np.memmap) or isinstance(table.user_index, np.memmap)
    _check_hetero(snapshot)


def _check_hetero(snapshot: Snapshot) -> None:
    data = snapshot.to_hetero()
    edge = data["user", "interacted", "item"]
    assert edge.edge_index.tolist() == [[0, 1, 1, 2], [2, 0, 1, 0]]
    assert edge.train_mask.tolist() == [False, True, False, True]
    assert edge.test_mask.tolist() == [True, False, False, False]
    assert data["item", "genre", "entity"].edge_index.tolist() == [[0], [1]]
    assert data["entity", "genre", "item"].edge_index.tolist() == [[1], [2]]
    assert data["item", "by_author", "entity"].edge_index.tolist() == [[1], [0]]
    assert data["entity", "by_author", "entity"].edge_index.tolist() == [[0], [1]]
    assert data["user", "has_interest", "interest"].edge_index.tolist() == [[0, 0, 2], [0, 1, 1]]
    assert {kind: data[kind].num_nodes for kind in data.node_types} == {
        "user": 3, "item": 3, "entity": 2, "intent": 0, "interest": 2
    }  # fmt: skip
    data.validate()


def test_two_exports_are_equal_to_the_byte(
    graph: Graph, dataset: str, settings: Settings, tmp_path: Path, planted: list[Record]
) -> None:
    load(graph, "planted", None, dataset)
    first = take(graph, dataset, home(settings, tmp_path / "a"))
    second = take(graph, dataset, home(settings, tmp_path / "b"))
    assert not first.reused and not second.reused
    assert first.hash == second.hash
    assert content(first.path) == content(second.path)
    planted.reverse()
    planted.sort(key=lambda record: isinstance(record, (Interaction, Fact, HasInterest)))
    load(graph, "planted", None, f"{dataset}-b")
    assert take(graph, f"{dataset}-b", home(settings, tmp_path / "c")).hash == first.hash


def test_an_unchanged_dataset_is_not_exported_again(
    graph: Graph, dataset: str, settings: Settings, tmp_path: Path, planted: list[Record]
) -> None:
    load(graph, "planted", None, dataset)
    here = home(settings, tmp_path)
    first = take(graph, dataset, here)
    assert take(graph, dataset, here).reused
    assert latest(here, dataset) == first
    graph.execute(
        "MATCH (d:Dataset {uid: $dataset}) SET d.version = d.version + 1 "
        "WITH d MATCH (:User {uid: $dataset + ':a'})-[has:HAS_INTEREST]->() SET has.evidence = ['1']",
        dataset=dataset,
    )
    changed = take(graph, dataset, here)
    assert not changed.reused and changed.hash != first.hash
    assert changed.has_interest.from_evidence.tolist() == [False, False, True]
    assert open_snapshot(first.path).hash == first.hash, "a snapshot that a model was trained on must stay"


@pytest.mark.parametrize("name", ["facts.tail_index.npy", "users.id.utf8.npy", "items.text.ends.npy", "manifest.json"])
def test_damage_is_named_and_mended(
    *, graph: Graph, dataset: str, settings: Settings, tmp_path: Path, planted: list[Record], name: str
) -> None:
    load(graph, "planted", None, dataset)
    here = home(settings, tmp_path)
    snapshot = take(graph, dataset, here)
    file, whole = snapshot.path / name, (snapshot.path / name).read_bytes()
    for damaged in (whole[:-3], None):
        file.write_bytes(damaged) if damaged else file.unlink()
        with pytest.raises(SnapshotError, match=name.replace(".", r"\.")):
            open_snapshot(snapshot.path)
    file.write_bytes(bytes([*whole[:-3], whole[-3] ^ 1, *whole[-2:]]))
    with pytest.raises(SnapshotError, match=name.replace(".", r"\.")):
        open_snapshot(snapshot.path, verify=True)
    mended = take(graph, dataset, here)
    assert not mended.reused and mended.hash == snapshot.hash
    assert file.read_bytes() == whole
    assert [entry.name for entry in snapshot.path.parent.iterdir() if entry.name.startswith(".")] == []


def test_what_is_not_there_is_said(graph: Graph, dataset: str, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no dataset"):
        take(graph, dataset, settings)
    with pytest.raises(NotFoundError, match="no snapshot"):
        latest(settings, dataset)
    with pytest.raises(NotFoundError, match="no snapshot"):
        open_snapshot(tmp_path / "nowhere")


IDS = st.one_of(st.sampled_from(NASTY), st.integers(0, 10**6).map(str), st.text(min_size=1, max_size=8)).filter(
    lambda text: text == text.strip() and text.isprintable()
)
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))


@st.composite
def datasets(draw: st.DrawFn) -> list[Record]:
    """A small dataset with arbitrary names and ids."""
    users = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    things = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    items = things[: draw(st.integers(1, len(things)))]
    interests = draw(st.lists(IDS, max_size=3, unique=True))
    relations = st.sampled_from(["genre", "http://x/genre", "Genre", "has `x'}) DETACH DELETE n //", "by"])
    pairs = st.tuples(st.sampled_from(users), st.sampled_from(items))
    interactions = draw(st.dictionaries(pairs, st.sampled_from(list(Split)), min_size=1, max_size=8))
    facts = draw(st.sets(st.tuples(st.sampled_from(things), relations, st.sampled_from(things)), max_size=8))
    records: list[Record] = [User(user, draw(st.none() | TEXTS)) for user in users]
    records += [Item(item, draw(TEXTS), draw(TEXTS)) for item in items]
    records += [Entity(entity, draw(TEXTS)) for entity in things[len(items) :]]
    records += [Interest(interest, draw(TEXTS)) for interest in interests]
    records += [
        Interaction(
            user, item, split, draw(st.none() | st.floats(0, 5, width=32)), draw(st.none() | st.integers(0, 2**37))
        )
        for (user, item), split in interactions.items()
    ]
    records += [Fact(*fact) for fact in sorted(facts)]
    records += [HasInterest(draw(st.sampled_from(users)), interest) for interest in interests]
    return records


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=datasets())
def test_any_dataset_survives_import_and_export(
    *, graph: Graph, dataset: str, settings: Settings, tmp_path: Path, planted: list[Record], wanted: list[Record]
) -> None:
    planted[:] = wanted
    report = load(graph, "planted", None, dataset, AS_GIVEN, replace=True)
    snapshot = take(graph, dataset, home(settings, tmp_path))
    assert sorted(map(repr, _records(snapshot, report.relations))) == sorted(map(repr, _plain(wanted)))


def _plain(records: list[Record]) -> Iterator[Any]:
    """The records as a snapshot can give them back: a missing name is the id, an unnamed interest has a number."""
    for record in records:
        match record:
            case User() if record.name is None:
                yield User(record.id, record.id)
            case Interest() if not record.name:
                yield Interest(record.id, f"interest {record.id}")
            case _:
                yield record


def _records(snapshot: Snapshot, types: dict[str, str]) -> Iterator[Any]:
    relations = {made: name for name, made in types.items()}
    yield from (User(*pair) for pair in zip(snapshot.users.ids, snapshot.users.names, strict=True))
    yield from (Item(*row) for row in zip(snapshot.items.ids, snapshot.items.names, snapshot.item_text, strict=True))
    yield from (Entity(*pair) for pair in zip(snapshot.entities.ids, snapshot.entities.names, strict=True))
    yield from (Interest(*pair) for pair in zip(snapshot.interests.ids, snapshot.interests.names, strict=True))
    things = snapshot.items.ids + snapshot.entities.ids
    for user, item, split, rating, at in zip(
        *(column.tolist() for column in vars(snapshot.interactions).values()), strict=True
    ):
        yield Interaction(
            snapshot.users.ids[user],
            snapshot.items.ids[item],
            list(Split)[split],
            None if np.isnan(rating) else rating,
            None if at == NEVER else at,
        )
    for head, relation, tail in zip(*(column.tolist() for column in vars(snapshot.facts).values()), strict=True):
        yield Fact(things[head], relations[snapshot.relations[relation]], things[tail])
    for user, interest, _ in zip(*(column.tolist() for column in vars(snapshot.has_interest).values()), strict=True):
        yield HasInterest(snapshot.users.ids[user], snapshot.interests.ids[interest])
