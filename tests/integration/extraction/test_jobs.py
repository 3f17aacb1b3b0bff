"""What a person can do with a run: `cikg jobs`, against real workers' work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cikg.datasets.archive import export_dataset
from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction import control, ledger
from cikg.extraction.budget import Budget, Unit
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.progress import silent
from cikg.schema import State
from tests.dashboard import form_token
from tests.integration.extraction.conftest import Workplace, found, site

JOB = job("user_interests")


def start(place: Workplace, budget: Budget | None = None, **told: Any) -> tuple[str, Any]:
    """Do a run in this process; its uid and settings."""
    settings = place.settings(place.standin(**told), llm_retries=0)
    plan = ledger.plan(place.graph, JOB, place.dataset, "stand-in")
    shards = ledger.start(place.graph, plan, budget)
    with Runner(place.graph, settings) as runner:
        runner.work_all(plan.run.uid, shards)
    return plan.run.uid, settings


def test_a_run_is_found_by_id_beginning_or_job(place: Workplace) -> None:
    place.planted(2)
    run, _ = start(place)
    identifier = run.partition(":")[2]
    for name in (identifier, "user_interests", identifier[:20]):
        assert control.find(place.graph, place.dataset, name) == run
    with pytest.raises(NotFoundError, match=f"Its runs: {identifier}"):
        control.find(place.graph, place.dataset, "unknown")
    (row,) = control.runs(place.graph, place.dataset)
    assert (row["run"], row["done"], row["total"], row["calls"]) == (identifier, 2, 2, 2)
    assert row in control.runs(place.graph)


def test_paused_runs_ask_nothing_until_resumed_and_a_budget_has_to_be_renewed(place: Workplace) -> None:
    place.planted(70)
    run, settings = start(place, Budget(10, Unit.CALLS))
    paused = control.stop(place.graph, settings, run, State.PAUSED)
    assert paused["state"] == State.PAUSED, "pausing twice changes nothing"
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, [0, 1])
    assert ledger.progress(place.graph, run)["calls"] == 10
    with pytest.raises(ConflictError, match="Give a new one, or lift it"):
        control.resume(place.graph, settings, run)
    shards = control.resume(place.graph, settings, run, unlimited=True)
    assert shards and set(shards) <= {0, 1}, "those that have something left"
    assert control.stop(place.graph, settings, run, State.CANCELLED, "ann")["error"] == "cancelled by ann"
    with pytest.raises(ConflictError, match="cancelled already"):
        control.stop(place.graph, settings, run, State.PAUSED)
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, control.resume(place.graph, settings, run))
    assert ledger.progress(place.graph, run)["done"] == 70
    with pytest.raises(ConflictError, match="nothing of the run is left"):
        control.resume(place.graph, settings, run)


def test_what_went_wrong_is_tried_again_one_by_one_or_all(place: Workplace) -> None:
    place.planted(9)
    run, settings = start(place, fault="refusal")
    assert ledger.progress(place.graph, run)["quarantined"] == 9
    (first, *_) = place.graph.many("quarantined_subjects", run=run, limit=3)
    assert first["subject"] == "r0"
    assert "refused" in first["error"]
    place.standin()
    with pytest.raises(InputError, match="nothing of the run failed"):
        control.retry(place.graph, settings, run)
    with pytest.raises(NotFoundError, match="'r99'"):
        control.retry(place.graph, settings, run, ["r99"])
    for ids, done in ((["r3"], 1), ([], 9)):
        count, shards = control.retry(place.graph, settings, run, ids, quarantined=True)
        assert count == (1 if ids else 8)
        with Runner(place.graph, settings) as runner:
            runner.work_all(run, shards)
        assert ledger.progress(place.graph, run)["done"] == done


def test_retrying_stays_within_the_budget_and_resuming_needs_a_new_one(place: Workplace) -> None:
    place.planted(8)
    run, settings = start(place, Budget(5, Unit.CALLS), fault="server-error")
    stands = ledger.progress(place.graph, run)
    assert (stands["state"], stands["failed"], stands["calls"]) == (State.PAUSED, 5, 5)
    llm = place.standin()
    _, shards = control.retry(place.graph, settings, run)
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, shards)
    stands = ledger.progress(place.graph, run)
    assert (stands["state"], stands["planned"], llm.calls) == (State.PAUSED, 8, 0), "nothing of it was left"
    path = f"/d/{place.dataset}/jobs/{run.partition(':')[2]}"
    with site(settings) as client:
        page = client.get(path).text
        assert 'value="5 calls" required' in page, "the former limit, to be given once more"
        told = {"csrf_token": form_token(page), "budget": " "}
        assert client.post(f"{path}/resume", data=told).status_code == 409
        assert ledger.progress(place.graph, run)["state"] == State.PAUSED
        assert client.post(f"{path}/resume", data=told | {"budget": "3 calls"}).status_code == 303
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, shards)
    assert (ledger.progress(place.graph, run)["state"], llm.calls) == (State.PAUSED, 3)


def test_the_trail_of_a_subject_and_forgetting_answers(place: Workplace) -> None:
    place.planted(3)
    run, _ = start(place)
    (step,) = control.trail(place.graph, place.dataset, "r1")
    assert (step["job"], step["state"], step["prompt"], step["calls"]) == (
        "user_interests",
        "done",
        "user_interests",
        1,
    )
    assert "<history>" in step["asked"]
    assert "phrase" in step["answer"]
    with pytest.raises(NotFoundError, match="'nobody'"):
        control.trail(place.graph, place.dataset, "nobody")
    assert control.purge(place.graph, place.dataset, prompt="glossary", dry_run=False) == 0, "never asked here"
    with pytest.raises(NotFoundError, match=r"no prompt named 'user_interest'.*'user_interests'"):
        control.purge(place.graph, place.dataset, prompt="user_interest", dry_run=False)
    with pytest.raises(NotFoundError, match=r"has asked a model 'other'.*: stand-in"):
        control.purge(place.graph, place.dataset, model="other", dry_run=False)
    assert control.purge(place.graph, place.dataset, run=run.partition(":")[2], dry_run=True) == 3
    assert control.purge(place.graph, place.dataset, model="stand-in", dry_run=False) == 3
    assert control.purge(place.graph, place.dataset, model="stand-in", dry_run=True) == 0
    assert control.trail(place.graph, place.dataset, "r1")[0]["answer"] is None


def test_the_commands(place: Workplace) -> None:
    place.planted(6)
    _, settings = start(place, Budget(2, Unit.CALLS))

    def cikg(*arguments: str) -> Any:
        return place.cikg(settings, "jobs", *arguments, "--dataset", place.dataset).result()

    assert [row["state"] for row in cikg("list").data["runs"]] == ["paused"]
    shown = cikg("show", "user_interests").data
    assert (shown["budget"], shown["planned"], shown["done"]) == ("2 calls", 4, 2)
    refused = cikg("resume", "user_interests")
    assert (refused.code, refused.data["error"]) == (2, "ConflictError")
    place.worker(settings)
    stopped = cikg("resume", "user_interests", "--budget", "1 call", "--wait")
    assert (stopped.code, stopped.data["done"], stopped.data["error"]) == (1, 3, "JobError")
    assert stopped.data["message"] == "of 6 subjects 3 were not asked: the budget of 1 calls is spent"
    done = cikg("resume", "user_interests", "--no-budget", "--wait")
    assert (done.code, done.data["state"], done.data["error"]) == (0, "done", None)
    assert cikg("retry", "user_interests").code == 2
    assert cikg("trace", "r0").data["trail"][0]["state"] == "done"
    assert cikg("quarantine", "user_interests").data == {"quarantined": []}
    assert cikg("purge").code == 2
    assert cikg("purge", "--prompt", "user_interests", "--dry-run").data["completions"] == 6
    assert cikg("cancel", "user_interests").code == 2


def test_an_ambiguous_beginning_is_refused(place: Workplace) -> None:
    place.planted(1)
    run, _ = start(place)
    place.graph.execute(
        "MATCH (r:Run {uid: $run}) CREATE (:Run {uid: r.uid + 'x', id: r.id + 'x', dataset: r.dataset, kind: r.kind})",
        run=run,
    )
    with pytest.raises(InputError, match="Give more of it"):
        control.find(place.graph, place.dataset, "user_interests-")


def test_what_was_paid_for_goes_along_with_an_archive(place: Workplace, tmp_path: Path) -> None:
    """Exported half done and imported under another name, a run asks about the rest alone, and then finds all of it."""
    place.planted(6)
    run, settings = start(place, Budget(4, Unit.CALLS))
    export_dataset(place.graph, place.dataset, tmp_path / "archive", "parquet", silent)
    copy = f"{place.dataset}-copy"
    load(place.graph, "archive", tmp_path / "archive", copy)
    with Runner(place.graph, settings) as runner:
        runner.work_all(run, control.resume(place.graph, settings, run, unlimited=True))
        plan = ledger.plan(place.graph, JOB, copy, "stand-in")
        assert (plan.total, len(plan.pending)) == (6, 2)
        standin = place.standin()
        runner.work_all(plan.run.uid, ledger.start(place.graph, plan))
    assert standin.calls == 2
    assert found(place.graph, copy) == found(place.graph, place.dataset)
    drop(place.graph, copy)
