"""Overview: datasets, counts, the health of every component, the newest runs, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from flask import Blueprint, Response, request, url_for

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.settings import Settings
from web import health
from web.chrome import Link, render, wants_json
from web.pages.models import Headline, load_headline
from web.parts import listing, runs, story
from web.parts.listing import Listing
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("overview", __name__)
link = Link("Overview", "overview.dataset", 0)
SHOWN_RUNS = 8
SHOWN_DATASETS = 20
STAGES = ("Import", "Infer intents", "Group them into interests", "Train a model", "Serve it")
"""What leads from files to recommendations with reasons."""


@dataclass(frozen=True)
class Step:
    """What to do next, until recommendations are served.

    Attributes:
        text: a sentence.
        command: what does it; may be empty.
        href: the page where it can be done, too; may be empty.
        label: what leads there.
        stage: the one of `STAGES` that it belongs to; empty where it belongs to none.
    """

    text: str
    command: str
    href: str = ""
    label: str = "Do it here"
    stage: str = ""


@dataclass(frozen=True)
class OverviewPage:
    """All datasets.

    Attributes:
        datasets: a page of them, with their counts.
        runs: the newest of all datasets.
        step: what to do when there is no dataset.
    """

    template: ClassVar[str] = "overview.html"
    datasets: Listing
    runs: tuple[runs.Run, ...]
    step: Step | None


@dataclass(frozen=True)
class DatasetPage:
    """One dataset.

    Attributes:
        dataset: its name.
        counts: name and number of everything in it, with the address of each list.
        facts: where it came from and what is served.
        interests: those with the most holders.
        headline: how well the served model does; None where none is served, or it was not measured.
        story: how one of its recommendations comes about; None until one is served that an interest explains.
        runs: its newest.
        step: what to do next, until a model is served.
        stages: what has to be done until then, in order.
    """

    template: ClassVar[str] = "dataset.html"
    dataset: str
    counts: tuple[tuple[str, int, str | None], ...]
    facts: dict[str, str]
    interests: tuple[dict[str, Any], ...]
    headline: Headline | None
    story: story.Story | None
    runs: tuple[runs.Run, ...]
    step: Step | None
    stages: tuple[str, ...] = STAGES


@dataclass(frozen=True)
class HealthPage:
    """Components and whether they answer.

    Attributes:
        components: those that were asked.
        waiting: names of those that the page asks once it is there, each by itself: one that is away holds up its line.
    """

    template: ClassVar[str] = "health.html"
    components: tuple[health.Component, ...]
    waiting: tuple[str, ...]


def load_overview(graph: Graph) -> OverviewPage:
    """Read the overview of all datasets."""
    names = [row["id"] for row in graph.many("dataset_names")]
    datasets = listing.choose(names, SHOWN_DATASETS, lambda shown: graph.many("list_datasets", datasets=shown))
    step = None if names else Step("To import the demo catalogue from the command line:", "cikg import demo")
    newest = runs.newest(graph, "", 4 * SHOWN_RUNS)  # an import that was never begun has a run, and no dataset
    return OverviewPage(datasets, tuple(run for run in newest if run.dataset in names)[:SHOWN_RUNS], step)


def load_dataset(graph: Graph, dataset: str) -> DatasetPage:
    """Read the overview of one dataset.

    Raises:
        NotFoundError: it was removed a moment ago.
    """
    found = next(iter(graph.many("list_datasets", datasets=[dataset])), None)
    if found is None:
        raise NotFoundError(f"there is no dataset {dataset!r}", cure="The overview lists all datasets")
    edges = graph.one("edge_counts", dataset=dataset)
    newest = runs.newest(graph, dataset, 8)
    counts = (
        ("users", found["users"], "users.index"),
        ("items", found["items"], "items.index"),
        ("interactions", edges["interactions"], None),
        ("entities", found["entities"], "entities.index"),
        ("facts", edges["facts"], None),
        ("intents", found["intents"], "intents.index"),
        ("interests", found["interest_count"], "interests.index"),
        ("held interests", edges["held"], None),
    )
    served: str = (found["published"] or "").removeprefix(f"{dataset}:")
    facts = {
        "field": found["field"] or "items",
        "source": found["source"] or (f"built in: {found['format']}" if found["format"] else None),
        "state": found["state"] or "ready",
        "interests": found["interests"] or "none",
        "served model": served or "none",
    }
    known = {name: value for name, value in facts.items() if value is not None}
    interests = tuple(graph.many("top_interests", dataset=dataset, limit=12))
    return DatasetPage(
        dataset=dataset,
        counts=counts,
        facts=known,
        interests=interests,
        headline=load_headline(graph, dataset, served) if served else None,
        story=story.tell(graph, dataset),
        runs=newest,
        step=next_step(found, newest),
    )


def next_step(found: dict[str, Any], newest: tuple[runs.Run, ...]) -> Step | None:
    """What a person would do next with a dataset; None once a model is served."""
    name = found["id"]
    if found["published"]:
        return None
    if found["state"] in ("importing", "dropping"):
        return _finish(name, found["state"], newest)
    if not found["interest_count"] and not found["intents"]:
        plan = url_for("start.index", dataset=name, job="user_interests")
        return Step(
            "Ask the LLM what the users are interested in:",
            f"cikg extract user_interests --dataset {name}",
            plan,
            stage=STAGES[1],
        )
    if not found["interest_count"]:
        interests = url_for("interests.index", dataset=name)
        return Step(
            "Group the extracted phrases into interests:", f"cikg cluster --dataset {name}", interests, stage=STAGES[2]
        )
    trained = next((run for run in newest if run.kind == "train" and run.state == "done"), None)
    if trained is None:
        models = url_for("models.index", dataset=name)
        return Step("Train a recommender on it:", f"cikg train mixture --dataset {name}", models, stage=STAGES[3])
    model = url_for("models.model", dataset=name, identifier=trained.id)
    return Step(
        "Serve the recommendations of the newest model:",
        f"cikg publish {trained.id} --dataset {name}",
        model,
        stage=STAGES[4],
    )


def _finish(name: str, state: str, newest: tuple[runs.Run, ...]) -> Step:
    """What to do with a dataset that is there in part."""
    if state == "dropping":
        return Step("It is only partly dropped. Drop the rest, or import it again:", f"cikg dataset drop {name}")
    if any(run.active and run.kind == "import" for run in newest):
        jobs = url_for("jobs.index", dataset=name)
        return Step("The import is still running, so this page is incomplete.", "", jobs, "Follow it", STAGES[0])
    return Step(
        "The import is not complete. Start it again on the Import page or with the command, and it resumes:",
        "cikg import …",
        url_for("imports.index"),
        stage=STAGES[0],
    )


@page(blueprint, "/")
def index() -> Response:
    """All datasets."""
    return render(load_overview(graph()))


@page(blueprint, "/d/<id:dataset>")
def dataset(dataset: str) -> Response:
    """One dataset."""
    return render(load_dataset(graph(), dataset))


def load_health(settings: Settings, asked: Sequence[str]) -> HealthPage:
    """Ask those components that are named; with none, a page begins without an answer, and data with all of them."""
    named = [name for name in health.COMPONENTS if name in asked]
    if not named and not wants_json():
        return HealthPage((), health.COMPONENTS)
    return HealthPage(health.check(settings, named or health.COMPONENTS), ())


@page(blueprint, "/health")
def components() -> Response:
    """Every component and whether it answers."""
    return render(load_health(settings(), request.args.getlist("ask")))
