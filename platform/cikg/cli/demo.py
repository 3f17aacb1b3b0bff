"""`cikg demo`: the main job from end to end on the demo catalogue, and the dashboard at its end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from cikg.access.sessions import one_time_link
from cikg.cli._output import json_option, messages, print_facts, print_json, print_table, progress_bar, ticked
from cikg.cli._pipelines import Wanted, carry_out_stage, title
from cikg.cli.evaluate import register as register_evaluation
from cikg.cli.train import register, watch
from cikg.datasets.loader import load
from cikg.embedded import supervisor
from cikg.extraction.pipelines import Stage, pipeline
from cikg.graph import Graph, connect
from cikg.graph.snapshot import Snapshot, take
from cikg.llm.answers import address_and_model
from cikg.serving.publish import publish
from cikg.settings import Settings, load_settings

if TYPE_CHECKING:
    from cikg.recommend.engine import Trained

# Training and clustering load torch and scikit-learn, which takes seconds: not before the services start.
# ruff: noqa: PLC0415

DATASET = "demo"
PIPELINE = "cikgrec"
METHODS = ("popularity", "ease", "mixture")
"""The first is the yardstick, the last is published."""
METRICS = ("recall@10", "ndcg@10", "recall@50", "ndcg@50")


@click.command("demo")
@click.option("--exit", "leave", is_flag=True, help="Stop everything at the end instead of waiting for Ctrl-C.")
@json_option
def command(leave: bool, as_json: bool) -> None:
    """Start the services; import, extract, cluster, snapshot, train, evaluate and publish; show what was found.

    Each step is the command of the same name. What an earlier run finished is reused.
    """
    start = time.perf_counter()
    settings = load_settings(with_embedded=False)
    with _interruptible(), _services(settings, quiet=as_json) as complete:
        with connect(complete) as graph:
            summary = _Demo(complete, graph, quiet=as_json).run()
        summary["total_seconds"] = round(time.perf_counter() - start, 2)
        link = None if leave else one_time_link(complete)
        if as_json:
            print_json(summary | {"link": link})
        else:
            _show(summary)
        if link:
            messages.print("\nThe dashboard is open. This link logs you in once; `cikg login` prints another:")
            messages.print(link, style="bold", soft_wrap=True, highlight=False)
            messages.print("Ctrl-C stops everything.")
            with suppress(KeyboardInterrupt):  # the ordinary end of a demo
                while True:  # a library's thread may receive the signal: Python then acts on it when this one wakes
                    time.sleep(0.5)
    if not as_json and not supervisor.is_running(settings):
        text = "Everything is kept: `.venv/bin/cikg up` serves it, and `.venv/bin/cikg login` opens the dashboard."
        messages.print(text, soft_wrap=True, highlight=False)


class _Demo:
    """The steps, each timed, with what each found."""

    def __init__(self, settings: Settings, graph: Graph, *, quiet: bool) -> None:
        self.settings, self.graph, self.quiet = settings, graph, quiet
        self.bar = partial(progress_bar, quiet=quiet)
        self.seconds: dict[str, float] = {}

    def run(self) -> dict[str, Any]:
        """Take every step; what the last page of a demo shows."""
        imported = self._step("import", self._import)
        stages = pipeline(PIPELINE).stages
        learned = {title(stage): self._step(title(stage), partial(self._learn, stage)) for stage in stages}
        snapshot = self._step("snapshot", self._snapshot)
        runs = {method: self._step(f"train {method}", partial(self._train, snapshot, method)) for method in METHODS}
        test = self._step("evaluate", lambda: {name: self._evaluate(snapshot, run) for name, run in runs.items()})
        published = self._step("publish", partial(self._publish, snapshot, runs[METHODS[-1]]))
        return {
            "dataset": DATASET,
            "counts": imported | learned["cluster"],
            "llm_calls": sum(result.get("calls", 0) for result in learned.values()),
            "runs": {method: run.run_id for method, run in runs.items()},
            "training_seconds": {method: run.manifest["timings"]["total"] for method, run in runs.items()},
            "test": test,
            "published": published,
            "seconds": self.seconds,
        }

    def _step(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.seconds[name] = round(time.perf_counter() - start, 2)
        if not self.quiet:
            ticked(name, self.seconds[name])
        return result

    def _import(self) -> dict[str, int]:
        return load(self.graph, "demo", None, DATASET, progress=self.bar).counts

    def _learn(self, stage: Stage) -> dict[str, Any]:
        _, model = address_and_model(self.settings)
        result, error = carry_out_stage(self.graph, self.settings, stage, Wanted(DATASET, model), quiet=self.quiet)
        if error is not None:
            raise error
        return result

    def _snapshot(self) -> Snapshot:
        return take(self.graph, DATASET, self.settings, self.bar)

    def _train(self, snapshot: Snapshot, method: str) -> Trained:
        from cikg.recommend.engine import train

        with watch(method, quiet=self.quiet) as observer:
            trained = train(snapshot, method, settings=self.settings, observer=observer)
        register(self.graph, trained)
        return trained

    def _evaluate(self, snapshot: Snapshot, trained: Trained) -> dict[str, float]:
        from cikg.recommend.evaluation.measuring import evaluate

        result = evaluate(trained.path, snapshot)
        register_evaluation(self.graph, trained.manifest, result)
        return {metric: result["test"][metric] for metric in METRICS}

    def _publish(self, snapshot: Snapshot, trained: Trained) -> dict[str, Any]:
        from cikg.recommend import runs

        with self.bar("publishing", len(snapshot.users)) as advance:
            done = publish(self.graph, snapshot, runs.load(trained.path), progress=advance)
        return {"run": done.run, "recommendations": done.recommendations, "explained": round(done.explained, 4)}


def _show(summary: dict[str, Any]) -> None:
    """The summary as a person reads it."""
    counts = {name.replace("_", " "): count for name, count in summary["counts"].items() if count}
    facts = counts | {"recommendations": summary["published"]["recommendations"]}
    print_facts("In the graph", facts | {"LLM calls of this run": summary["llm_calls"]})
    yardstick = summary["test"][METHODS[0]]["ndcg@10"]
    rows = [
        [
            method,
            *figures.values(),
            f"{figures['ndcg@10'] / yardstick:.1f}",
            f"{summary['training_seconds'][method]:.1f}",
        ]
        for method, figures in summary["test"].items()
    ]
    print_table("On the test split", ["method", *METRICS, "× popularity", "seconds"], rows)
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in summary["seconds"].items() if " " not in name)
    messages.print(f"Seconds: {steps}; {summary['total_seconds']:.0f} in all.", highlight=False, soft_wrap=True)


@contextmanager
def _services(settings: Settings, *, quiet: bool) -> Iterator[Settings]:
    """The services for the length of a block; those that ran before it stay."""
    ran_before = supervisor.is_running(settings)
    try:
        with messages.status("Starting the services") if not quiet else nullcontext():
            complete = supervisor.up(settings, attached=not ran_before)
        yield complete
    finally:
        if ran_before:
            messages.print("The services were running before and keep running; `cikg down` stops them.")
        else:
            _stop(settings)


def _stop(settings: Settings) -> None:
    """Stop everything; an impatient second Ctrl-C does not leave half of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with messages.status("Stopping the services"):
        supervisor.down(settings)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that `kill` stops the services too."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
