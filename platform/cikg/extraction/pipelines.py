"""Pipelines: the stages of each paper, in order. A stage is a job's name, or a step that asks no LLM.

To add a stage, put it into its pipeline's row of `PIPELINES`. Every stage may be carried out again: a job asks about
what changed alone, and a step writes nothing where nothing changed. So a pipeline that was interrupted is resumed by
starting it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cikg.errors import NotFoundError
from cikg.extraction.steps.merging import Method, accept
from cikg.graph import Graph
from cikg.schema import Label
from cikg.settings import Settings

# Clustering and embedding load scikit-learn, which takes a second: not to list pipelines.
# ruff: noqa: PLC0415


@dataclass(frozen=True)
class Step:
    """A stage that asks no LLM.

    Attributes:
        name: what it does, in a word or two.
        carry_out: does it to a dataset, writing nothing where nothing changed; returns what to tell a person.
    """

    name: str
    carry_out: Callable[[Graph, Settings, str], dict[str, Any]]


Stage = str | Step
"""The name of a job, or a step."""


@dataclass(frozen=True)
class Pipeline:
    """The stages of a paper's knowledge.

    Attributes:
        name: what a person types after `cikg extract`.
        help: one sentence about what it makes.
        stages: in order.
    """

    name: str
    help: str
    stages: tuple[Stage, ...]


def embedding(*labels: Label) -> Step:
    """A step that gives nodes vectors by the embedder of the settings."""

    def carry_out(graph: Graph, settings: Settings, dataset: str) -> dict[str, Any]:
        from cikg.extraction.steps.embedding import embed, embedder

        with embedder(settings) as model:
            made = embed(graph, dataset, model, labels)
        return {"embedding": made.embedding, "written": sum(made.written.values())}

    return Step("embed " + " and ".join(f"{label.lower()}s" for label in labels), carry_out)


def _cluster(graph: Graph, _settings: Settings, dataset: str) -> dict[str, Any]:
    from cikg.extraction.steps.interests import cluster_intents

    made = cluster_intents(graph, dataset)
    return {"intents": made.intents, "interests": made.interests}


def _merge_aligned(graph: Graph, _settings: Settings, dataset: str) -> dict[str, Any]:
    return {"merged": accept(graph, dataset, Method.LLM, actor="the pipeline seekrec")}


PIPELINES: dict[str, Pipeline] = {
    pipeline.name: pipeline
    for pipeline in (
        Pipeline(
            "cikgrec",
            "CIKGRec: what each user likes, clustered into interests.",
            ("user_interests", Step("cluster", _cluster)),
        ),
        Pipeline(
            "ikgr",
            "IKGR: a glossary, exact intents of items and users, then related ones from the pool that these make.",
            (
                "glossary",
                "item_intents",
                "user_intents",
                embedding(Label.ITEM, Label.INTENT),
                "related_item_intents",
                "related_user_intents",
            ),
        ),
        Pipeline(
            "seekrec",
            "SeeKRec: preferences, aligned; what of each neighbourhood tells something; profiles of it.",
            (
                "user_preferences",
                "preference_alignment",
                Step("merge what is aligned", _merge_aligned),
                "user_subgraphs",
                "item_subgraphs",
                "user_profiles",
                "item_profiles",
                embedding(Label.PROFILE),
            ),
        ),
        Pipeline(
            "colakg",
            "CoLaKG: what each item and each user is, comprehended from the graph around them.",
            ("item_comprehension", "user_comprehension", embedding(Label.PROFILE)),
        ),
    )
}
"""By name."""


def pipeline(name: str) -> Pipeline:
    """The pipeline called `name`.

    Raises:
        NotFoundError: there is none; names those that exist.
    """
    if name not in PIPELINES:
        raise NotFoundError(f"there is no pipeline named {name!r}", cure=f"The pipelines are: {', '.join(PIPELINES)}")
    return PIPELINES[name]
