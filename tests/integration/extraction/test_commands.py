"""Commands that workers carry out: seen while they run, cancelled, and taken up again where their worker died."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cikg.embedded.supervisor import environment
from cikg.errors import ConflictError, InputError
from cikg.extraction import commands, control, queue
from cikg.files import identity
from cikg.recommend.runs import CHECKPOINT
from cikg.schema import State
from cikg.settings import Settings
from tests.dashboard import form_token
from tests.workplace import start_worker, wait_for

from .conftest import Workplace, site

LONG = ("train", "lightgcn", "--epochs", "100000", "--patience", "100000", "--no-refit")


@pytest.fixture
def settings_of(place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings, with a dataset to train on and a home of the test's own; commands find them where a worker's do."""
    place.planted(96)
    place.graph.execute("MATCH (:User {dataset: $d})-[r:INTERACTED {at: 3}]->() SET r.split = 'valid'", d=place.dataset)

    def make(**changes: Any) -> Settings:
        settings = place.settings("http://127.0.0.1:9/v1", home=tmp_path).model_copy(update=changes)
        for name, value in environment(settings).items():
            monkeypatch.setenv(name, value)
        return settings

    return make


def stands(place: Workplace) -> dict[str, Any]:
    """The one command of the dataset."""
    (row,) = control.commands(place.graph, place.dataset)
    return row


def epochs(progress: str | None) -> int:
    """How many epochs a training says that it has done."""
    return int((progress or "").partition("lightgcn: select ")[2].partition("/")[0] or 0)


def test_a_training_is_queued_done_and_found(place: Workplace, settings_of: Callable[..., Settings]) -> None:
    settings = settings_of()
    asked = ("jobs", "queue", "train", "popularity", "--dataset", place.dataset)
    answer = place.cikg(settings, *asked).result().data
    assert (answer["queue"], answer["run"].startswith("train-")) == ("training", True)
    commands.carry_out(place.graph, settings, f"{place.dataset}:{answer['run']}")
    shown = place.cikg(settings, "jobs", "show", answer["run"], "--dataset", place.dataset).result().data
    assert (shown["state"], shown["command"], shown["error"]) == ("done", "train popularity", None)
    assert '"method": "popularity"' in shown["said"]
    (trained,) = place.graph.execute(
        "MATCH (r:Run {dataset: $d, kind: 'train'}) RETURN r.name AS name", d=place.dataset
    )
    assert trained["name"] == "popularity"


def test_a_training_is_seen_while_it_runs_and_goes_on_from_its_checkpoint_when_its_worker_was_killed(
    place: Workplace, settings_of: Callable[..., Settings]
) -> None:
    settings = settings_of(lease_seconds=3.0, sweep_seconds=0.5)
    worker = place.worker(settings)
    run = commands.enqueue(place.graph, settings, [*LONG, "--dataset", place.dataset])
    wait_for(lambda: any(settings.home.glob("runs/*/" + CHECKPOINT.format(phase="*"))), "a checkpoint", 90)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    reached = epochs(stands(place)["progress"])
    place.worker(settings)
    wait_for(lambda: stands(place)["attempts"] == 2, "a second worker's taking it", 60)
    before = stands(place)["progress"]
    wait_for(lambda: (now := stands(place)["progress"]) != before and epochs(now) > 0, "an epoch of the second", 90)
    assert epochs(stands(place)["progress"]) > reached / 2, "it did not begin anew"
    with pytest.raises(ConflictError, match="cannot rest"):
        control.stop(place.graph, settings, run, State.PAUSED)
    path = f"/d/{place.dataset}/jobs/{stands(place)['run']}"
    with site(settings) as client:
        page = client.get(path).text
        assert "lightgcn: select " in page
        assert client.post(f"{path}/cancel", data={"csrf_token": form_token(page)}).status_code == 303
    wait_for(lambda: stands(place)["finished_at"] and "interrupted" in (stands(place)["said"] or ""), "its end", 60)
    assert stands(place)["state"] == State.CANCELLED


def test_a_worker_that_is_told_to_end_gives_its_command_back(
    place: Workplace, settings_of: Callable[..., Settings]
) -> None:
    settings = settings_of()
    run = commands.enqueue(place.graph, settings, [*LONG, "--dataset", place.dataset])
    commands.carry_out(place.graph, settings, run, lambda: epochs(stands(place)["progress"]) > 0)
    assert (stands(place)["state"], stands(place)["attempts"]) == (State.PLANNED, 0)
    control.stop(place.graph, settings, run, State.CANCELLED)


def test_a_command_is_left_to_a_worker_that_sees_its_files(
    place: Workplace, settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = settings_of()
    run = commands.enqueue(place.graph, settings, ["train", "popularity", "--dataset", place.dataset])
    elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    commands.carry_out(place.graph, elsewhere, run)
    waiting = stands(place)
    assert (waiting["state"], waiting["attempts"], waiting["error"]) == (State.PLANNED, 0, None)
    assert waiting["progress"] == f"waits for a worker whose CIKG_HOME is {tmp_path}"

    def is_announced_by(home: Path) -> bool:
        return run in {row["run"] for row in place.graph.write("open_commands", home=identity(home))}

    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.progress = null", run=run)
    assert not is_announced_by(elsewhere.home), "or it would be sent to and fro for ever"
    assert stands(place)["progress"] == waiting["progress"], "although no worker ever got its message"
    place.graph.execute(
        "MATCH (r:Run {uid: $run}) SET r.state = 'running', r.leased_until = 0, r.lease = 'dead'", run=run
    )
    assert is_announced_by(settings.home) and not is_announced_by(elsewhere.home)
    (tmp_path / "mounted").symlink_to(tmp_path)
    commands.carry_out(place.graph, settings.model_copy(update={"home": tmp_path / "mounted"}), run)
    assert stands(place)["state"] == State.DONE, "the same home under another path"


def test_a_command_that_fails_says_why(place: Workplace, settings_of: Callable[..., Settings]) -> None:
    settings = settings_of()
    run = commands.enqueue(
        place.graph, settings, ["train", "popularity", "--metric", "luck@5", "--dataset", place.dataset]
    )
    commands.carry_out(place.graph, settings, run)
    found = stands(place)
    assert found["state"] == "failed"
    assert "luck" in found["error"]
    commands.carry_out(place.graph, settings, run)
    assert stands(place) == found, "a message that comes again changes nothing"


def test_what_waits_can_be_cancelled_and_what_kills_workers_fails(
    place: Workplace, settings_of: Callable[..., Settings]
) -> None:
    settings = settings_of()
    with pytest.raises(InputError, match="'down'"):
        commands.enqueue(place.graph, settings, ["down"])
    run = commands.enqueue(place.graph, settings, ["embed", f"--dataset={place.dataset}"])
    control.stop(place.graph, settings, run, State.CANCELLED, "ann")
    commands.carry_out(place.graph, settings, run)
    assert (stands(place)["state"], stands(place)["attempts"]) == (State.CANCELLED, 0)
    place.graph.execute("MATCH (r:Run {uid: $run}) SET r.state = 'planned', r.error = null", run=run)
    for attempt in range(6):
        held = {"run": run, "home": identity(settings.home), "lease": f"{attempt}", "milliseconds": 1}
        place.graph.write("claim_command", **held, most_attempts=5)
        time.sleep(0.01)
    assert (stands(place)["state"], "worker died" in stands(place)["error"]) == ("failed", True)


def test_a_command_that_no_message_announces_is_found(place: Workplace, settings_of: Callable[..., Settings]) -> None:
    settings = settings_of(redis_url=None)
    with pytest.raises(Exception, match="Redis"):
        commands.enqueue(place.graph, settings, ["cluster", "--dataset", place.dataset])
    assert control.commands(place.graph, place.dataset) == [], "nothing is noted that nobody can be told"
    settings = settings_of()
    run = commands.enqueue(place.graph, settings, ["cluster", "--dataset", place.dataset])
    app = queue.create_app(settings)
    with app.connection_for_write() as connection:
        connection.default_channel.client.delete("graph")  # the message is lost
    queue.sweep(place.graph, app, settings)
    assert queue.waiting(app, "graph") >= 1
    with app.connection_for_write() as connection:
        connection.default_channel.client.delete("graph")
    control.stop(place.graph, settings, run, State.CANCELLED)


def test_commands_that_wait_for_shards_leave_their_worker_threads_for_them(
    place: Workplace, settings_of: Callable[..., Settings], tmp_path: Path
) -> None:
    names = [f"{place.dataset}-{number}" for number in range(3)]
    for name in names:
        place.planted(2, name)
    settings = settings_of(sweep_seconds=3600.0, openai_base_url=place.standin().url)
    for name in names:
        commands.enqueue(place.graph, settings, ["extract", "user_interests", "--dataset", name])
    worker = start_worker(settings, tmp_path / "narrow.log", "--concurrency", "2")
    try:

        def ended() -> bool:
            return all(control.commands(place.graph, name)[0]["state"] == State.DONE for name in names)

        wait_for(ended, "the end of all commands", 60)
    finally:
        worker.stop()
