"""What if: a user's list without something that is known of them, or with something more. Nothing is written.

The question stands in the address of the user's page: `without` and `with` each name a kind and an id, as
`interest:42`; `add` holds words for something more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import request, url_for

from cikg.errors import CikgError, InputError, ServiceError
from cikg.graph import Graph
from cikg.schema import uid
from cikg.serving.counterfactual import Change, Evidence, counterfactual, known_of
from web.parts import served
from web.parts.search import search

SHOWN, MOST = 20, 50
"""Items of a list, and things that a question takes away or adds."""
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
        wanted: words for something more to add; empty for nothing.
    """

    dataset: str
    user: str
    without: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    wanted: str = ""

    @property
    def doubted(self) -> tuple[tuple[str, str], ...]:
        """What of that which is taken away can be wrong: what somebody did cannot."""
        return tuple(piece for piece in self.without if piece[0] != "item")

    @property
    def href(self) -> str:
        """The address of this question."""
        without, added = ([f"{kind}:{identifier}" for kind, identifier in each] for each in (self.without, self.added))
        given = {"without": without, "with": added}
        return url_for("users.user", dataset=self.dataset, identifier=self.user, **given)  # type: ignore[arg-type]

    def toggled(self, kind: str, identifier: str) -> Question:
        """The same with one thing taken away, or given back; of something added, the same without it."""
        piece = (kind, identifier)
        added, kept = (tuple(each for each in pieces if each != piece) for pieces in (self.added, self.without))
        if piece in self.added:
            return replace(self, added=added)
        return replace(self, without=kept if piece in self.without else (*self.without, piece))

    def evidence(self, pieces: tuple[tuple[str, str], ...]) -> Evidence:
        """Pieces by kind."""
        return Evidence(
            **{plural: [identifier for kind, identifier in pieces if kind == name] for name, plural in KINDS.items()}
        )


@dataclass(frozen=True)
class Piece:
    """Something that is taken away or added; `href` is the address where it is not."""

    label: str
    id: str
    name: str
    href: str


@dataclass(frozen=True)
class WhatIf:
    """A user's list as it would be.

    Attributes:
        estimated: whether effects were estimated.
        without: what is taken away.
        added: what is added.
        not_added: what was asked to be added and cannot be; empty if nothing.
        items: the list, each with its rank before.
        gone: what is no longer in it.
        refused: why there is no answer and what to do about it; None where there is one.
    """

    estimated: bool
    without: tuple[Piece, ...]
    added: tuple[Piece, ...]
    not_added: str
    items: tuple[Change, ...]
    gone: tuple[Change, ...]
    refused: tuple[str, str | None] | None = None


def asked(dataset: str, user: str) -> Question:
    """The question in this request's address.

    Raises:
        InputError: it is too long; every piece of the answer has an address as long.
    """
    without, added = _pieces_of("without"), _pieces_of("with")
    if len(without) + len(added) > MOST:
        raise InputError(f"a question takes away or adds at most {MOST} things", cure="Ask about fewer at once")
    return Question(dataset, user, without, added, request.args.get("add", "").strip())


def answer(graph: Graph, question: Question, wrong: Evidence) -> tuple[Question, WhatIf | None]:
    """The question with what its words stand for, and its answer; None where nothing is otherwise.

    What cannot be answered is said beside the list that is served, since a page shows both.

    Args:
        graph: the graph.
        question: what is to be otherwise.
        wrong: what was corrected about the user.
    """
    if not (question.without or question.added or question.wanted):
        return question, None
    try:
        return _answer(graph, question, wrong)
    except ServiceError:
        raise
    except CikgError as error:
        without, added = (_named(graph, question, pieces) for pieces in (question.without, question.added))
        said = error.message
        for piece in (*without, *added):  # people know names, not ids
            said = said.replace(repr(piece.id), f"“{piece.name}”")
        return question, WhatIf(False, without, added, "", (), (), (said[:1].upper() + said[1:], error.cure))


def _answer(graph: Graph, question: Question, wrong: Evidence) -> tuple[Question, WhatIf]:
    """The same.

    Raises:
        NotFoundError: no model is served, its files are elsewhere, or it does not know something.
        InputError: the user has not what is taken away.
    """
    model = served.load(graph, question.dataset)
    more = _wanted(graph, question, known_of(model, question.user)) if question.wanted else None
    not_added = "" if more else question.wanted
    question = replace(question, added=(*question.added, *([more] if more else [])), wanted="")
    without, added = question.evidence(question.without), question.evidence(question.added)
    changed = counterfactual(model, question.user, without, added, SHOWN, corrected=wrong)
    return question, WhatIf(
        changed.estimated,
        _named(graph, question, question.without),
        _named(graph, question, question.added),
        not_added,
        changed.items,
        changed.gone,
    )


def _wanted(graph: Graph, question: Question, known: dict[str, list[tuple[str, str]]]) -> tuple[str, str] | None:
    """The best of what a search for words finds that the user has not."""
    kinds = {label: kind for kind, label in LABELS.items()}
    had = {(kind, identifier) for kind, plural in KINDS.items() for identifier, _ in known[plural]} | {*question.added}
    hits = ((kinds.get(hit.label), hit.id) for hit in search(graph, question.dataset, question.wanted).hits)
    return next(((kind, identifier) for kind, identifier in hits if kind and (kind, identifier) not in had), None)


def _named(graph: Graph, question: Question, pieces: tuple[tuple[str, str], ...]) -> tuple[Piece, ...]:
    rows = [{"label": LABELS[kind], "uid": uid(question.dataset, each)} for kind, each in pieces]
    names = {(row["label"], row["id"]): row["name"] for row in graph.many("nodes_at", rows=rows)}
    return tuple(
        Piece(LABELS[kind], each, names.get((LABELS[kind], each), each), question.toggled(kind, each).href)
        for kind, each in pieces
    )


def _pieces_of(name: str) -> tuple[tuple[str, str], ...]:
    """The pieces that a parameter of the address names; what cannot be read is left out."""
    parts = (text.partition(":") for text in request.args.getlist(name))
    return tuple(dict.fromkeys((kind, identifier) for kind, _, identifier in parts if kind in KINDS and identifier))
