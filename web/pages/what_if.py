"""What if: a user's list without something that is known of them, or with something more. Nothing is written.

The question stands in the address: `without` and `with` each name a kind and an id, as `interest:42`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from flask import Blueprint, Response, request, url_for

from cikg.errors import NotFoundError
from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.counterfactual import Change, Counterfactual, Evidence, counterfactual, known_of
from web import served
from web.chrome import render
from web.pages.search import load_search
from web.store import graph
from web.urls import page

blueprint = Blueprint("what_if", __name__)
SHOWN = 20
KINDS = {"interest": "interests", "intent": "intents", "item": "items"}
LABELS = {"interest": "Interest", "intent": "Intent", "item": "Item"}


@dataclass(frozen=True)
class Question:
    """What is to be otherwise.

    Attributes:
        dataset: the dataset.
        user: the user's id.
        without: kind and id of what is taken away.
        added: kind and id of what is added.
    """

    dataset: str
    user: str
    without: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()

    @property
    def href(self) -> str:
        """The address of this question."""
        without, added = ([f"{kind}:{identifier}" for kind, identifier in each] for each in (self.without, self.added))
        given = {"without": without, "with": added}
        return url_for("what_if.index", dataset=self.dataset, identifier=self.user, **given)  # type: ignore[arg-type]

    def toggled(self, kind: str, identifier: str) -> Question:
        """The same with one thing taken away, or given back."""
        piece = (kind, identifier)
        rest = tuple(each for each in self.without if each != piece)
        return replace(self, without=rest if piece in self.without else (*self.without, piece))

    def evidence(self, pieces: tuple[tuple[str, str], ...]) -> Evidence:
        """Pieces by kind."""
        return Evidence(
            **{plural: [identifier for kind, identifier in pieces if kind == name] for name, plural in KINDS.items()}
        )


@dataclass(frozen=True)
class Piece:
    """Something that is known of the user, or added.

    Attributes:
        label: what it is.
        id: its id.
        name: its name.
        taken: whether it is taken away.
        href: the address that changes that; of something added, the address without it.
    """

    label: str
    id: str
    name: str
    taken: bool
    href: str


@dataclass(frozen=True)
class WhatIfPage:
    """A user's list as it would be.

    Attributes:
        dataset: the dataset.
        id: the user's id.
        name: the user's name.
        question: what is otherwise.
        model: the run whose model answers.
        estimated: whether effects were estimated.
        known: what the model knows of the user, by kind.
        added: what is added to it.
        not_added: what was asked to be added and cannot be; empty if nothing.
        items: the list, each with its rank before.
        gone: what is no longer in it.
    """

    template: ClassVar[str] = "what_if.html"
    dataset: str
    id: str
    name: str
    question: Question
    model: str
    estimated: bool
    known: dict[str, tuple[Piece, ...]]
    added: tuple[Piece, ...]
    not_added: str
    items: tuple[Change, ...]
    gone: tuple[Change, ...]


def load(graph: Graph, question: Question, wanted: str) -> WhatIfPage:
    """Answer a question.

    Args:
        graph: the graph.
        question: what is to be otherwise.
        wanted: words for something more to add; empty for nothing.

    Raises:
        NotFoundError: there is no such user, no model is served, or it does not know something.
        InputError: the user has not what is taken away.
    """
    found = graph.many("find_user", user=uid(question.dataset, question.user))
    if not found:
        raise NotFoundError(f"{question.dataset!r} has no user {question.user!r}", cure="Search for a name above")
    model = served.load(graph, question.dataset)
    known = known_of(model, question.user)
    more = _wanted(graph, question, known, wanted) if wanted else None
    question = replace(question, added=(*question.added, more)) if more else question
    changed: Counterfactual = counterfactual(
        model, question.user, question.evidence(question.without), question.evidence(question.added), SHOWN
    )
    return WhatIfPage(
        dataset=question.dataset,
        id=question.user,
        name=found[0]["name"] or question.user,
        question=question,
        model=changed.model,
        estimated=changed.estimated,
        known={kind: _pieces(question, kind, known[plural]) for kind, plural in KINDS.items()},
        added=_added(graph, question),
        not_added=wanted if wanted and not more else "",
        items=changed.items,
        gone=changed.gone,
    )


def _wanted(
    graph: Graph, question: Question, known: dict[str, list[tuple[str, str]]], words: str
) -> tuple[str, str] | None:
    """The best of what a search for words finds that the user has not."""
    kinds = {label: kind for kind, label in LABELS.items()}
    had = {(kind, identifier) for kind, plural in KINDS.items() for identifier, _ in known[plural]} | {*question.added}
    hits = ((kinds.get(hit.label), hit.id) for hit in load_search(graph, question.dataset, words).hits)
    return next(((kind, identifier) for kind, identifier in hits if kind and (kind, identifier) not in had), None)


def _pieces(question: Question, kind: str, known: list[tuple[str, str]]) -> tuple[Piece, ...]:
    return tuple(
        Piece(
            LABELS[kind], identifier, name, (kind, identifier) in question.without,
            question.toggled(kind, identifier).href,
        )
        for identifier, name in known
    )  # fmt: skip


def _added(graph: Graph, question: Question) -> tuple[Piece, ...]:
    rows = [{"label": LABELS[kind], "uid": uid(question.dataset, each)} for kind, each in question.added]
    names = {(row["label"], row["id"]): row["name"] for row in graph.many("nodes_at", rows=rows)}
    return tuple(
        Piece(
            LABELS[kind], identifier, names.get((LABELS[kind], identifier), identifier), taken=False,
            href=replace(question, added=tuple(each for each in question.added if each != (kind, identifier))).href,
        )
        for kind, identifier in question.added
    )  # fmt: skip


def _asked(name: str) -> tuple[tuple[str, str], ...]:
    """The pieces that a parameter of the address names; what cannot be read is left out."""
    parts = (text.partition(":") for text in request.args.getlist(name))
    return tuple(dict.fromkeys((kind, identifier) for kind, _, identifier in parts if kind in KINDS and identifier))


@page(blueprint, "/d/<id:dataset>/users/<id:identifier>/what-if")
def index(dataset: str, identifier: str) -> Response:
    """A user's list, were something otherwise."""
    question = Question(dataset, identifier, _asked("without"), _asked("with"))
    return render(load(graph(), question, request.args.get("add", "").strip()))
