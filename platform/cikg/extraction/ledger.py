"""The ledger: what of a run is planned, leased, done, failed or quarantined, kept in Neo4j beside what was found.

A run's id is a digest of what its answers depend on, so that the same question is the same run: asking again resumes
it, and once it is done asks nothing. A subject whose input changed is planned again; all others stay untouched.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cikg.digests import digest
from cikg.errors import ConflictError, NotFoundError
from cikg.extraction.budget import Budget, Unit, metered
from cikg.extraction.job import Job, Subject, job
from cikg.extraction.parts.histories import dataset_row
from cikg.graph import Graph
from cikg.llm.answers import Usage
from cikg.llm.prompts import template
from cikg.schema import State, uid

SHARD = 128
"""Subjects of one queued task: enough to be read together, few enough for several workers to share a run."""
SUSPICIOUS = 3
"""Leases of a subject, each ended by its worker's death, after which it is tried alone."""
MOST_ATTEMPTS = 5
"""Leases of a subject before it is taken for what kills the workers."""


@dataclass(frozen=True)
class Allowance:
    """What a run may spend from the moment it was started with a budget.

    Attributes:
        budget: the limit.
        before: what the ledger had counted by then, in the budget's unit.
        id: tells it from an earlier one of the same run.
    """

    budget: Budget
    before: float
    id: str


@dataclass(frozen=True)
class Run:
    """A job over a dataset with one model.

    Attributes:
        uid: its key in the graph.
        job: the job.
        dataset: the dataset's name.
        model: the model asked.
        allowance: what it may spend; None for anything.
        opening: how often it was started or resumed.
    """

    uid: str
    job: Job
    dataset: str
    model: str
    allowance: Allowance | None = None
    opening: int = 0


@dataclass(frozen=True)
class Plan:
    """What a run has to do: nothing is written yet.

    Attributes:
        run: the run.
        total: its subjects.
        pending: those that have to be asked about.
        rewrite: the ledger's rows that have to be made or put back to planned.
    """

    run: Run
    total: int
    pending: list[Subject]
    rewrite: list[dict[str, Any]]


def describe(wanted: Job, dataset: str, model: str) -> tuple[Run, dict[str, Any]]:
    """The run that a job over a dataset with a model is, and the properties of its node."""
    prompts = [template(name) for name in wanted.prompts]
    parameters = {
        "job": wanted.name,
        "model": model,
        "parameters": dict(wanted.parameters),
        "prompts": [{"name": each.name, "version": each.version, "digest": each.digest} for each in prompts],
    }
    identifier = f"{wanted.name}-{digest(parameters)[:16]}"
    run = Run(uid(dataset, identifier), wanted, dataset, model)
    node = {
        "dataset": dataset,
        "id": identifier,
        "kind": "extract",
        "name": wanted.name,
        "parameters": json.dumps(parameters, sort_keys=True),
    }
    return run, node


def plan(
    graph: Graph, wanted: Job, dataset: str, model: str, *, limit: int | None = None, quarantined: bool = False
) -> Plan:
    """Compare the ledger with the graph.

    Args:
        graph: the graph.
        wanted: the job.
        dataset: the dataset's name.
        model: the model to ask.
        limit: look at the first so many subjects alone.
        quarantined: plan quarantined subjects again, too.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import has not ended.
    """
    run, _ = describe(wanted, dataset, model)
    described = dataset_row(graph, dataset)
    if described["state"] == "dropping":
        raise ConflictError(f"the dataset {dataset!r} is half dropped", cure="Drop the rest of it, or import it again")
    if described["state"] == "importing":
        raise ConflictError(
            f"the dataset {dataset!r} is only half imported", cure="Repeat the `cikg import` that began it"
        )
    known = {row["id"]: row for row in graph.many("ledger_rows", run=run.uid)}
    finished = {State.DONE} if quarantined else {State.DONE, State.QUARANTINED}
    chosen = wanted.ids(graph, dataset)[:limit]
    pending: list[Subject] = []
    for subject in wanted.plan(wanted.read(graph, dataset, chosen), described["field"]):
        row = known.get(subject.id)
        same = row is not None and row["input_hash"] == subject.input_hash
        if row is None or not ((same and row["state"] in finished) or row["leased"]):
            pending.append(subject)
    rewrite = [
        {"uid": f"{run.uid}/{subject.id}", "id": subject.id, "input_hash": subject.input_hash, "shard": shard}
        for subject, shard in zip(pending, _shards(pending), strict=True)
    ]
    return Plan(run, len(set(known) | set(chosen)), pending, rewrite)


def _shards(subjects: Sequence[Subject]) -> list[int]:
    """The shard of each subject: about `SHARD` a shard, and equal inputs in one, whose worker asks for them once."""
    place: dict[str, int] = {}
    for subject in subjects:
        place.setdefault(subject.input_hash, len(place) // SHARD)
    return [place[subject.input_hash] for subject in subjects]


def start(graph: Graph, plan: Plan, budget: Budget | None = None, batch: str | None = None) -> list[int]:
    """Write a plan into the ledger, before anything is enqueued; return the shards to enqueue.

    A plan without pending subjects writes nothing, unless the run was left open or its job has something to `clear`.
    The budget counts from now. `batch` says how `batching` is to treat its questions; None leaves that as it is.

    Raises:
        ConflictError: the dataset was dropped since it was planned.
    """
    run = plan.run
    if run.job.clear is not None:
        run.job.clear(graph, run.dataset)
    if plan.pending:
        _, node = describe(run.job, run.dataset, run.model)
        allowed = _allow(graph, run.uid, budget)
        rows = sorted(plan.rewrite, key=lambda row: str(row["uid"]))
        # Before the run is opened: a sweeper closes one that is open and has nothing to do.
        graph.write_rows("plan_subjects", rows, run=run.uid, dataset=run.dataset, kind=str(run.job.about))
        if not graph.write("open_run", run=run.uid, properties=node, budget=allowed, batch=batch):
            raise ConflictError(f"the dataset {run.dataset!r} was dropped meanwhile", cure="Import it again")
        graph.write("count_run", run=run.uid, total=plan.total)
    finish(graph, run.uid)  # nothing may be left by now, since another process works on the same
    return open_shards(graph, run.uid)


def reopen(graph: Graph, run: str, budget: Budget | None = None, *, keep: bool = False) -> None:
    """Let a run that was stopped go on: within a budget that counts from now, or what is left of the one it has."""
    graph.write("resume_run", run=run, budget=_allow(graph, run, budget), keep=keep)


def _allow(graph: Graph, run: str, budget: Budget | None) -> str | None:
    """A budget as the run's node keeps it, with what was spent before it."""
    if budget is None:
        return None
    known = graph.many("run_exists", run=run)
    before = metered(budget.unit, progress(graph, run)) if known else 0.0
    return json.dumps({"budget": asdict(budget), "before": before, "id": uuid.uuid4().hex})


def open_shards(graph: Graph, run: str) -> list[int]:
    """Shards of a run with work that no living worker holds."""
    return [row["shard"] for row in graph.many("open_shards", run=run)]


def lease(graph: Graph, run: str, shard: int, token: str, seconds: float) -> tuple[list[str], bool]:
    """Take what is left of a shard for some seconds; ids of subjects that are now ours, and whether others wait."""
    rows = graph.write(
        "lease_subjects",
        run=run,
        shard=shard,
        lease=token,
        milliseconds=int(seconds * 1000),
        most_attempts=MOST_ATTEMPTS,
        suspicious=SUSPICIOUS,
    )
    return (rows[0]["ids"], rows[0]["more"]) if rows else ([], False)


def renew(graph: Graph, run: str, shard: int, token: str, seconds: float) -> bool:
    """Keep a lease for some seconds more; False when the run is stopped or gone, or nothing of the shard is ours."""
    rows = graph.write("renew_leases", run=run, shard=shard, lease=token, milliseconds=int(seconds * 1000))
    return any(row["state"] == State.RUNNING and row["subjects"] > 0 for row in rows)


def commit(graph: Graph, run: Run, token: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """End subjects: what was found and that they are done become visible in one transaction.

    Args:
        graph: the graph.
        run: their run.
        token: the lease under which they were worked on.
        rows: for each its `uid`, `state`, costs, and as `found` the rows of the job, or None.
    """
    ordered = sorted(rows, key=lambda row: str(row["uid"]))
    found = [row["found"] for row in ordered if row["found"] is not None]
    closed = [{name: value for name, value in row.items() if name != "found"} for row in ordered]
    steps: list[tuple[str, dict[str, Any]]] = [("close_subjects", {"lease": token, "rows": closed})]
    if found:
        context = {"dataset": run.dataset, "run": run.uid, "job": run.job.name, "lease": token}
        steps.insert(0, (run.job.write, {**context, "rows": found}))
    graph.write_together(steps)


def open_run(graph: Graph, run: str) -> Run:
    """The run with this uid, with its job.

    Raises:
        NotFoundError: there is no such run, or no such job any more.
    """
    row = _only(run, graph.many("run_node", run=run))
    allowance = None
    if row["budget"]:
        kept = json.loads(row["budget"])
        budget = Budget(**{**kept["budget"], "unit": Unit(kept["budget"]["unit"])})
        allowance = Allowance(budget, kept["before"], kept["id"])
    return Run(run, job(row["name"]), row["dataset"], json.loads(row["parameters"])["model"], allowance, row["opening"])


def spent(graph: Graph, run: Run) -> float:
    """What a run spent of its allowance, as far as the ledger knows, in the budget's unit."""
    if run.allowance is None:
        return 0.0
    return metered(run.allowance.budget.unit, progress(graph, run.uid)) - run.allowance.before


def subjects(graph: Graph, run: Run, chosen: Sequence[str]) -> list[Subject]:
    """Subjects of a run as the graph holds them now; those that have no input any more are left out."""
    field = dataset_row(graph, run.dataset)["field"]
    return list(run.job.plan(run.job.read(graph, run.dataset, chosen), field))


def release(graph: Graph, run: str, shard: int, token: str, *, forgiven: bool) -> None:
    """Give back leased subjects that were not closed; where the attempt is forgiven, it counts as none."""
    graph.write("release_subjects", run=run, shard=shard, lease=token, forgiven=int(forgiven))


def bill(graph: Graph, subject: str, usage: Usage) -> None:
    """Add what was spent on a subject that is given back."""
    costs = {name: getattr(usage, name) for name in ("calls", "prompt_tokens", "completion_tokens", "cost")}
    graph.write("bill_subject", subject=subject, **costs)


def stop(graph: Graph, run: str, state: State, error: str | None, opening: int | None = None) -> None:
    """Stop a run before its end, if it was not opened again since `opening`; its workers notice within seconds."""
    graph.write("stop_run", run=run, state=state, error=error, opening=opening)


def postpone(graph: Graph, run: str, seconds: float, reason: str, opening: int | None = None) -> None:
    """Let a run's subjects rest for some time, if it was not opened again since `opening`; its state stays."""
    graph.write("postpone_run", run=run, milliseconds=int(seconds * 1000), reason=reason, opening=opening)


def finish(graph: Graph, run: str) -> None:
    """Close a run if nothing of it is left to do."""
    graph.write("finish_run", run=run)


def errors(graph: Graph, run: str) -> list[dict[str, Any]]:
    """Why subjects failed or were quarantined, the most frequent cause first."""
    return graph.many("run_errors", run=run)


def progress(graph: Graph, run: str) -> dict[str, Any]:
    """Where a run stands: its state, the number of subjects in each state, and what they cost.

    Raises:
        NotFoundError: there is no such run.
    """
    return _only(run, graph.many("run_progress", run=run))


def _only(run: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The one row about a run."""
    if not rows:
        dataset, _, name = run.partition(":")
        raise NotFoundError(
            f"the dataset {dataset!r} has no run {name!r}", cure="Runs go with their dataset when it is dropped"
        )
    return rows[0]
