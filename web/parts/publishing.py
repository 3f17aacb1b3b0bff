"""What is served, what was before, and what a person does about it: publish a run, or go back. Each is logged."""

from __future__ import annotations

from dataclasses import dataclass

from cikg.access import audit
from cikg.errors import NotFoundError
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.publish import roll_back
from cikg.settings import Settings
from web.parts import runs, training
from web.parts.queued import Command, newest


@dataclass(frozen=True)
class Served:
    """A model that is served, or was before."""

    run: str
    method: str
    published_at: str | None


@dataclass(frozen=True)
class Standing:
    """What a dataset serves.

    Attributes:
        now: the model that is served; None where nothing is.
        before: the one to go back to; None where there is none.
        publication: the last that was asked for.
    """

    now: Served | None
    before: Served | None
    publication: Command | None


def standing(graph: Graph, dataset: str) -> Standing:
    """What a dataset serves, what it served before, and how far the last publication is."""

    def served(row: dict[str, str]) -> Served:
        return Served(row["run"], row["method"] or "", row["published_at"])

    now = [row for row in graph.many("served_model", dataset=dataset) if row["model"] is not None]
    before = graph.many("formerly_served", dataset=dataset)
    return Standing(
        served(now[0]) if now else None,
        served(before[0]) if before else None,
        newest(graph, dataset, "publish "),
    )


def begin(graph: Graph, settings: Settings, dataset: str, run: str, k: int) -> Standing:
    """Have a worker publish a run. Asked for again, it is written again, with the same result.

    Raises:
        NotFoundError: there is no such training run of this dataset.
        UnreachableError: Redis does not answer.
    """
    runs.training(graph, dataset, run)
    commands.enqueue(graph, settings, ["publish", run, "--dataset", dataset, "--k", str(k)], dataset)
    return standing(graph, dataset)


def act(graph: Graph, settings: Settings, dataset: str, action: str, *, run: str, k: int, actor: str) -> None:
    """Publish a run, go back to it or open the test split for it, from a page.

    Raises:
        NotFoundError: there is no such action or run.
        ConflictError: that run is not what was served before, or its recommendations are gone.
        UnreachableError: Redis does not answer.
    """
    match action:
        case "publish":
            begin(graph, settings, dataset, run, k)
        case "rollback":
            roll_back(graph, dataset, run)
        case "evaluate":
            training.evaluate(graph, settings, dataset, run)
        case _:
            raise NotFoundError(f"there is no action {action!r} for a model")
    audit.record(graph, actor, f"models.{action}", uid(dataset, run), {"k": k} if action == "publish" else None)
