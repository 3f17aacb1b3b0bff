"""What SeeKRec's stages add one after the other: those that reach the recommender through the profiles alone.

    CIKG_EMBEDDER=lexical:256 python -m tests.benchmarks.bench_stages [--seeds 0 1 2] [--metric recall@20]

`cikg report stages` cannot leave such a stage out of a training, since its product is in the wording of answers. So the
stages are carried out in order over the demo catalogue, by the stand-in, beginning with profiles of neighbourhoods as
they are. After each, the profiles that it changes are written again, a snapshot is taken, and SeeKRec is trained and
selected on valid as ever. Shown is the mean over seeds on valid and on test, what the stage adds to the state before it
with its 95 % interval (paired by user, each user's mean over seeds), and its questions, those that write profiles again
included. The whole takes about five minutes on two cores. A user's dataset is measured in the same way with
`cikg extract`, `cikg snapshot`, `cikg train seekrec --seeds 3`, and `cikg compare --across-snapshots`.
"""

from __future__ import annotations

import argparse
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.embedded import supervisor
from cikg.extraction import control, ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.extraction.steps.embedding import embed, embedder
from cikg.extraction.steps.merging import Method, accept
from cikg.graph import Graph, connect
from cikg.graph.migrations import migrate
from cikg.graph.snapshot import take
from cikg.recommend.engine import train
from cikg.recommend.evaluation.comparison import Split, compare
from cikg.recommend.evaluation.measuring import evaluate
from cikg.schema import Label
from cikg.settings import Settings, load_settings
from tests.workplace import standin

STAGES = {
    "profiles of neighbourhoods as they are": (),
    "preferences": ("user_preferences",),
    "alignment": ("preference_alignment",),
    "pruning and evaluating": ("user_subgraphs", "item_subgraphs"),
}
PROFILES = ("user_profiles", "item_profiles")
MODEL = "stand-in"


@dataclass(frozen=True)
class State:
    """SeeKRec after a stage: its runs, one a seed, and all questions so far."""

    runs: list[Path]
    calls: int


def ask(graph: Graph, settings: Settings, dataset: str, name: str) -> None:
    """Carry out a job in this process."""
    plan = ledger.plan(graph, job(name), dataset, MODEL)
    with Runner(graph, settings) as runner:
        runner.work_all(plan.run.uid, ledger.start(graph, plan))


def reach(graph: Graph, settings: Settings, dataset: str, jobs: tuple[str, ...], seeds: list[int]) -> State:
    """Carry out a stage, write the profiles that it changes, and train."""
    for name in jobs:
        ask(graph, settings, dataset, name)
    accept(graph, dataset, Method.LLM, actor="bench_stages")
    for name in PROFILES:
        ask(graph, settings, dataset, name)
    with embedder(settings) as model:
        embed(graph, dataset, model, (Label.PROFILE,))
    snapshot = take(graph, dataset, settings)
    runs = [train(snapshot, "seekrec", settings=settings, seed=seed).path for seed in seeds]
    for run in runs:
        evaluate(run, snapshot)
    return State(runs, sum(row["calls"] for row in control.runs(graph, dataset)))


def row(name: str, state: State, before: State | None, metric: str) -> str:
    """A state's figures on valid and test, and what it adds."""

    def figures(split: Split) -> str:
        compared = compare([*(before.runs if before else []), *state.runs], split, across_snapshots=True)
        mean = f"{compared.entries[-1].figures(metric).mean():>8.4f}"
        if len(compared.entries) < 2:
            return f"{mean}{'':<30}"
        gap = compared.differences((metric,))[0][metric]
        return f"{mean}  {gap.mean:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})"

    return f"{name:<40}{figures('valid')}  {figures('test')}{state.calls - (before.calls if before else 0):>8,}"


def main() -> None:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--metric", default="recall@20")
    given = parser.parse_args()
    dataset = f"bench-stages-{uuid.uuid4().hex[:8]}"
    with (
        supervisor.serving(load_settings(), ("neo4j",)) as reached,
        tempfile.TemporaryDirectory() as folder,
        connect(reached) as graph,
        standin(Path(folder), 0.0) as url,
    ):
        migrate(graph)
        told = {"openai_base_url": url, "openai_model": MODEL, "home": Path(folder), "device": "cpu"}
        settings = reached.model_copy(update=told)
        try:
            load(graph, "demo", None, dataset)
            print(f"{'':<40}{'valid':>8}{'adds, 95 %':>28}  {'test':>10}{'adds, 95 %':>28}{'calls':>10}")  # noqa: T201
            before: State | None = None
            for name, jobs in STAGES.items():
                state = reach(graph, settings, dataset, jobs, given.seeds)
                print(row(name, state, before, given.metric), flush=True)  # noqa: T201
                before = state
        finally:
            drop(graph, dataset)


if __name__ == "__main__":
    main()
