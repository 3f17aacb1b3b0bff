"""Intents that may mean the same: looked for by a worker, by their letters or their vectors, and judged by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cikg.access import audit
from cikg.errors import InputError, NotFoundError
from cikg.extraction.steps import merging
from cikg.extraction.steps.merging import Method, Verdict
from cikg.graph import Graph, vectors
from cikg.schema import Label
from cikg.settings import Settings
from web.parts import queued
from web.parts.queued import Followed

THRESHOLD = 0.9


@dataclass(frozen=True)
class Looking(Followed):
    """What pairs can be looked for by, and what is done about it.

    Attributes:
        embedder: what makes vectors here.
        embeddings: the vectors that the intents have, by name.
        found: how many new pairs the last search found; None where it has not ended.
    """

    embedder: str
    embeddings: tuple[str, ...]
    found: int | None


@dataclass(frozen=True)
class Wanted:
    """A search that is asked for.

    Attributes:
        embedding: the vectors to compare; None for letters.
        threshold: least cosine of two vectors.
    """

    embedding: str | None = None
    threshold: float = THRESHOLD


def load(graph: Graph, settings: Settings, dataset: str) -> Looking:
    """What pairs can be looked for by in a dataset, and how far a worker is.

    Raises:
        NotFoundError: there is no such dataset.
    """
    commands = queued.under_way(graph, dataset, "intents ") + queued.under_way(graph, dataset, "embed")
    known = vectors.embeddings(graph, dataset).get(Label.INTENT, [])
    found = queued.said(graph, dataset, "intents propose").get("proposed")
    return Looking(commands, settings.embedder, tuple(known), found)


def asked(form: Mapping[str, str]) -> Wanted:
    """What a form asks for.

    Raises:
        InputError: its threshold is none.
    """
    by = form.get("by", Method.EXACT)
    return Wanted(None if by == Method.EXACT else by, _likeness(form.get("threshold") or str(THRESHOLD)))


def _likeness(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1:
        raise InputError(f"{text!r} cannot be the minimum similarity", cure="Give a number above 0 and at most 1")
    return found


def propose(graph: Graph, settings: Settings, dataset: str, wanted: Wanted, actor: str) -> str:
    """Have a worker look for intents that may mean the same; the id of its run among the commands.

    Raises:
        NotFoundError: there is no such dataset, or its intents have no such vectors.
        UnreachableError: Redis does not answer.
    """
    words = ["intents", "propose", "--dataset", dataset, "--actor", actor]
    if wanted.embedding is None:
        return queued.once(graph, settings, dataset, words)
    embedding = vectors.chosen(graph, dataset, Label.INTENT, wanted.embedding)
    near = {"method": Method.VECTOR, "threshold": wanted.threshold, "embedding": embedding}
    return queued.once(graph, settings, dataset, words, **near)


def accept(graph: Graph, settings: Settings, dataset: str, least: float, actor: str) -> str:
    """Have a worker merge all proposed pairs of at least this score; the id of its run among the commands.

    Raises:
        UnreachableError: Redis does not answer.
    """
    words = ["intents", "review", "--dataset", dataset, "--actor", actor, "--accept-from", str(least)]
    return queued.once(graph, settings, dataset, words)


def embed(graph: Graph, settings: Settings, dataset: str) -> str:
    """Have a worker make vectors of a dataset's texts where they lack or changed; the id of its run among the commands.

    What makes them is a setting: to name another is to have a model loaded, or somebody paid.

    Raises:
        UnreachableError: Redis does not answer.
    """
    return queued.once(graph, settings, dataset, ["embed", "--dataset", dataset])


def act(graph: Graph, settings: Settings, dataset: str, action: str, form: Mapping[str, str], *, actor: str) -> None:
    """Look for pairs, merge the likeliest or make vectors, from a page.

    Raises:
        NotFoundError: there is no such action, or the intents have no such vectors.
        InputError: the least likeness that a form gives is none.
        UnreachableError: Redis does not answer.
    """
    match action:
        case "propose":
            wanted = asked(form)
            propose(graph, settings, dataset, wanted, actor)
            audit.record(graph, actor, "intents.propose", dataset, vars(wanted))
        case "accept":
            least = _likeness(form.get("threshold", ""))
            accept(graph, settings, dataset, least, actor)
            audit.record(graph, actor, "intents.accept", dataset, {"threshold": least})
        case "embed":
            embed(graph, settings, dataset)
            audit.record(graph, actor, "intents.embed", dataset)
        case _:
            raise NotFoundError(f"there is no action {action!r} for intents")


def judge(graph: Graph, dataset: str, intent: str, into: str, verdict: str, *, actor: str) -> None:
    """Merge two intents, take that back, or note that they differ.

    Raises:
        NotFoundError: one of them is not there, or there is no such verdict.
        InputError: both are one.
        ConflictError: one was merged, or unmerged, in the meantime.
    """
    match verdict:
        case Verdict.MERGED:
            merging.merge(graph, dataset, intent, into, actor=actor)
        case Verdict.UNDONE:
            merging.unmerge(graph, dataset, intent, actor=actor)
        case Verdict.REJECTED:
            merging.reject(graph, dataset, intent, into, actor=actor)
        case _:
            raise NotFoundError(f"there is no verdict {verdict!r}", cure="Use `merged`, `undone` or `rejected`")
