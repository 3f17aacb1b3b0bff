"""A newcomer's list: a sentence about a taste, the intents that the LLM found in it, and what they bring.

The intents stand in the address, so that one can be switched off, and a list be shown to somebody; the sentence does
not, and is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from flask import Blueprint, Response, request, url_for

from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.errors import InputError
from cikg.recommend.newcomers.newcomer import (
    LONGEST_SENTENCE,
    KnownIntent,
    Model,
    Suggested,
    Taste,
    best,
    named_intents,
    places_of,
    read,
)
from web import login
from web.chrome import Link, render
from web.parts import newcomers
from web.store import graph, settings
from web.urls import page

blueprint = Blueprint("newcomer", __name__)
link = Link("Newcomer", "newcomer.index", 45)
SHOWN = 20
MOST_INTENTS = 40


@dataclass(frozen=True)
class Question:
    """The intents of a newcomer, by ids.

    Attributes:
        dataset: the dataset.
        exact: what the sentence names.
        related: what was chosen from the pool.
        off: those of both that are switched off.
    """

    dataset: str
    exact: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    off: tuple[str, ...] = ()

    @property
    def every(self) -> list[str]:
        """All that were found."""
        return list(dict.fromkeys((*self.exact, *self.related)))

    @property
    def kept(self) -> list[str]:
        """Those that are not switched off."""
        return [each for each in self.every if each not in self.off]

    @property
    def href(self) -> str:
        """The address of this question."""
        given = {"exact": list(self.exact), "related": list(self.related), "off": list(self.off)}
        return url_for("newcomer.index", dataset=self.dataset, **given)  # type: ignore[arg-type]

    def toggled(self, intent: str) -> Question:
        """The same with one intent switched off, or on again."""
        rest = tuple(each for each in self.off if each != intent)
        return replace(self, off=rest if intent in self.off else (*self.off, intent))


@dataclass(frozen=True)
class Switch:
    """An intent that was found.

    Attributes:
        id: its id.
        name: its name.
        off: whether it is switched off.
        href: the address that changes that.
    """

    id: str
    name: str
    off: bool
    href: str


@dataclass(frozen=True)
class Row:
    """An item of the list.

    Attributes:
        item: its id.
        name: its name.
        rank: from 1.
        before: its rank with all intents; None where that list does not hold it.
        intents: those that speak for it.
    """

    item: str
    name: str
    rank: int
    before: int | None
    intents: tuple[KnownIntent, ...]


@dataclass(frozen=True)
class NewcomerPage:
    """What a newcomer is recommended.

    Attributes:
        dataset: the dataset.
        model: the run whose model it is; None where no IKGR was trained.
        sentence: what was said; empty where only intents are known.
        longest: characters that it may have.
        complaint: why nothing came of the sentence; empty if something did.
        cost: what asking took, in words; empty where nothing was asked.
        exact: intents that the sentence names.
        related: those that were chosen from the pool.
        unknown: what it names that nobody has.
        items: the list.
        gone: what all intents together would bring, and those that are left do not.
        changed: whether an intent is switched off.
    """

    template: ClassVar[str] = "newcomer.html"
    dataset: str
    model: str | None
    sentence: str = ""
    longest: int = LONGEST_SENTENCE
    complaint: str = ""
    cost: str = ""
    exact: tuple[Switch, ...] = ()
    related: tuple[Switch, ...] = ()
    unknown: tuple[str, ...] = ()
    items: tuple[Row, ...] = ()
    gone: tuple[Row, ...] = ()
    changed: bool = False


def load(question: Question) -> NewcomerPage:
    """The list for some intents.

    Raises:
        NotFoundError: the model does not know one of them.
    """
    run = newcomers.run_of(question.dataset)
    if run is not None and not question.every:
        newcomers.prepare(question.dataset)
    if run is None or not question.every:
        return NewcomerPage(question.dataset, run)
    model = newcomers.load(question.dataset)
    before = best(model, question.every, SHOWN)
    after = best(model, question.kept, SHOWN) if question.kept else ()
    ranks = {each.item: each.rank for each in before}
    kept = {each.item for each in after}
    return NewcomerPage(
        question.dataset,
        model.run,
        exact=_switches(model, question, question.exact),
        related=_switches(model, question, question.related),
        items=tuple(_row(each, ranks.get(each.item)) for each in after),
        gone=tuple(_row(each, each.rank) for each in before if each.item not in kept),
        changed=len(question.kept) < len(question.every),
    )


def ask(dataset: str, sentence: str) -> NewcomerPage:
    """Ask the LLM what a sentence says, and show what that brings.

    Raises:
        NotFoundError: no IKGR was trained.
        ServiceError: the LLM does not answer.
    """
    try:
        taste = read(settings(), newcomers.load(dataset), sentence)
    except InputError as error:
        return replace(load(Question(dataset)), sentence=sentence, complaint=str(error))
    question = Question(dataset, tuple(each.id for each in taste.exact), tuple(each.id for each in taste.related))
    return replace(load(question), sentence=sentence, unknown=taste.unknown, cost=_cost(taste))


def _switches(model: Model, question: Question, intents: tuple[str, ...]) -> tuple[Switch, ...]:
    found = named_intents(model, places_of(model, intents)) if intents else ()
    return tuple(Switch(each.id, each.name, each.id in question.off, question.toggled(each.id).href) for each in found)


def _row(each: Suggested, before: int | None) -> Row:
    return Row(each.item, each.name, each.rank, before, each.intents)


def _cost(taste: Taste) -> str:
    money = f", {taste.cost:.4f} {settings().llm_currency}" if taste.cost else ""
    return f"{taste.calls} questions, {taste.tokens:,} tokens{money}, {taste.llm_seconds:.1f} s"


def _given(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request.args.getlist(name)[:MOST_INTENTS]))


@page(blueprint, "/d/<id:dataset>/newcomer")
def index(dataset: str) -> Response:
    """The list for the intents in the address."""
    return render(load(Question(dataset, _given("exact"), _given("related"), _given("off"))))


@blueprint.post("/d/<id:dataset>/newcomer")
@login.needs(Scope.WRITE)
def begin(dataset: str) -> Response:
    """The list for a sentence: asks the LLM, which costs."""
    found = ask(dataset, request.form.get("sentence", ""))
    audit.record(graph(), login.caller().name, "newcomers.from_sentence", dataset)
    return render(found)
