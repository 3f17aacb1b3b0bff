from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cikg.errors import ConflictError, NotFoundError, SnapshotError
from cikg.graph import Graph
from cikg.graph.kept import collect, find, kept
from cikg.graph.snapshot import Snapshot, _point
from cikg.settings import Settings
from tests.unit.graph.planted import Content, made


class Runs:
    """A graph that knows a dataset, its runs and models, and nothing else."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)

    def many(self, name: str, /, **parameters: Any) -> list[dict[str, Any]]:
        if name == "used_snapshots":
            return self.rows
        assert name in ("find_dataset", "dataset_names")
        return [{"id": "planted", "dataset": {}}] if parameters.get("dataset") != "unknown" else []


def graph(*rows: dict[str, Any]) -> Graph:
    return cast("Graph", Runs(*rows))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def taken(settings: Settings, number: int) -> Snapshot:
    """The snapshot with this number, and the latest from now on; snapshots age by an hour each."""
    folder = settings.snapshots / "planted"
    snapshot = made(folder, Content(nodes={"users": {str(number): "Ann"}}))
    os.utime(snapshot.path, (3600.0 * number,) * 2)
    _point(folder, snapshot, number)
    return snapshot


def trained(settings: Settings, run: str, snapshot: Snapshot, dataset: str = "planted") -> None:
    path = settings.runs / run
    path.mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps({"dataset": dataset, "snapshot": snapshot.hash}))


def folders(settings: Settings) -> set[str]:
    return {path.name for path in (settings.snapshots / "planted").iterdir() if path.is_dir()}


def test_only_what_nothing_needs_is_removed(settings: Settings) -> None:
    ran, registered, published, loose, elsewhere, last = (taken(settings, number) for number in range(6))
    trained(settings, "ease-planted-000000000000", ran)
    trained(settings, "ease-other-000000000000", elsewhere, dataset="other")
    known = graph(
        {"run": "a", "snapshot": registered.hash, "manifest": None},
        {"run": "b", "snapshot": None, "manifest": json.dumps({"snapshot": published.hash})},
        {"run": "c", "snapshot": None, "manifest": None},
    )
    left = settings.snapshots / "planted" / ".half-written"
    (left / "new").mkdir(parents=True)
    (left / "new" / "part.npy").write_bytes(b"1234567")
    gone = {loose.path.name, elsewhere.path.name}
    size = sum(file.stat().st_size for each in (loose, elsewhere) for file in each.path.iterdir()) + 7
    before = folders(settings)
    for dry_run in (True, False):
        found = collect(settings, "planted", known, dry_run=dry_run)
        assert (set(found.removed), found.kept, found.freed) == (gone, 4, size)
        assert folders(settings) == (before if dry_run else before - gone - {left.name})
    assert collect(settings, "planted", known).removed == ()
    assert find(settings, "planted").hash == last.hash


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    count=st.integers(0, 5),
    by_run=st.sets(st.integers(0, 4)),
    by_model=st.sets(st.integers(0, 4)),
    again=st.integers(0, 4),
)
def test_a_collection_never_takes_what_is_needed(
    tmp_path_factory: pytest.TempPathFactory, count: int, by_run: set[int], by_model: set[int], again: int
) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    snapshots = [taken(settings, number) for number in range(count)]
    if again < count:
        taken(settings, again)  # the graph became again what it was
    for number in by_run:
        if number < count:
            trained(settings, f"ease-planted-{number:012}", snapshots[number])
    models = [{"run": "m", "snapshot": snapshots[one].hash, "manifest": None} for one in by_model if one < count]
    last = again if again < count else count - 1
    needed = {snapshots[number].path.name for number in {*by_run, *by_model, last} if 0 <= number < count}
    found = collect(settings, "planted", graph(*models))
    assert set(found.removed) == {snapshot.path.name for snapshot in snapshots} - needed
    assert found.kept == len(needed)
    if count:
        assert folders(settings) == needed
        assert find(settings, "planted").hash == snapshots[last].hash
    assert collect(settings, "planted", graph(*models)).freed == 0


def test_nothing_goes_while_a_training_is_unfinished_or_a_run_unreadable(settings: Settings) -> None:
    taken(settings, 0), taken(settings, 1)
    run = settings.runs / "cikgrec-planted-0123456789ab"
    run.mkdir(parents=True)
    (run / "checkpoint-select.safetensors").touch()
    with pytest.raises(ConflictError, match=r"-0123456789ab is not finished.*`cikg runs remove cikgrec"):
        collect(settings, "planted", graph())
    (run / "manifest.json").write_text("{")
    with pytest.raises(SnapshotError, match=r"manifest\.json is damaged"):
        collect(settings, "planted", graph())
    assert len(folders(settings)) == 2


def test_snapshots_are_listed_with_what_is_wrong_with_them(settings: Settings) -> None:
    first, second = taken(settings, 0), taken(settings, 1)
    trained(settings, "ease-planted-000000000000", first)
    (second.path / "users.id.utf8.npy").write_bytes(b"")
    newest, oldest = kept(settings, "planted", None)
    assert newest.latest and newest.snapshot is None
    assert newest.problem is not None and "users.id.utf8.npy" in newest.problem
    assert oldest.snapshot == first
    assert oldest.used_by == ("ease-planted-000000000000",)
    assert oldest.needed and not oldest.latest
    assert kept(settings, "unknown", None) == []


def test_a_dataset_that_is_not_there_is_told_unless_it_left_snapshots(settings: Settings) -> None:
    assert kept(settings, "planted", graph()) == []
    for look in (kept, collect):
        with pytest.raises(NotFoundError, match="there is no dataset 'unknown'"):
            look(settings, "unknown", graph())
    taken(settings, 0)
    (settings.snapshots / "planted").rename(settings.snapshots / "unknown")
    assert len(kept(settings, "unknown", graph())) == 1
    assert collect(settings, "unknown", graph()).kept == 1


def test_a_snapshot_is_found_by_the_beginning_of_its_hash(settings: Settings) -> None:
    snapshots = [taken(settings, number) for number in range(3)]
    for snapshot in snapshots:
        for name in (snapshot.hash, snapshot.hash[:16], snapshot.hash[:14], str(snapshot.path)):
            assert find(settings, "planted", name) == snapshot
    with pytest.raises(NotFoundError, match="several snapshots begin"):
        find(settings, "planted", "")
    with pytest.raises(NotFoundError, match="no snapshot 'xyz'"):
        find(settings, "planted", "xyz")
