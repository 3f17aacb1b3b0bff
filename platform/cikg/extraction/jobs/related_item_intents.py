"""Job `related_item_intents`: which other intents of the pool an item serves as well.

Paper: IKGR, the second round ("related intents"): the 100 intents of the pool nearest to the item that it does not have
yet, and one question which of them it serves. No new intents come of it.
Departures: the answer may name none; the prompt has no glossary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import NotFoundError
from cikg.extraction.histories import Card
from cikg.extraction.job import Job, Request, Subject, UnusableAnswerError, Work
from cikg.extraction.jobs import item_intents
from cikg.extraction.phrases import data_line, line
from cikg.graph import Graph, vectors
from cikg.graph.vectors import written_for
from cikg.llm.prompts import template
from cikg.schema import Label, uid

CANDIDATES = 100
MOST_RELATED = 10


class RelatedIntents(BaseModel):
    """The answer: the numbers of up to ten candidates, the most fitting first."""

    model_config = ConfigDict(extra="forbid")

    related: list[int] = Field(max_length=MOST_RELATED)


@dataclass(frozen=True, slots=True)
class Choice:
    """An item and the intents, as (id, name), that it may have besides its own, the nearest first."""

    card: Card
    candidates: tuple[tuple[str, str], ...]


def embedding(graph: Graph, dataset: str) -> str:
    """The embedding that items and intents are compared in: `lexical` where there is it, else the first by name.

    Raises:
        NotFoundError: there is no such dataset, or items and intents have no vectors of one model.
    """
    known = vectors.embeddings(graph, dataset)
    shared = set(known.get(Label.ITEM, [])) & set(known.get(Label.INTENT, []))
    if not shared:
        raise NotFoundError(
            f"the items and intents of {dataset!r} have no vectors of one model",
            cure=f"After `cikg extract item_intents`, run `cikg embed items intents --dataset {dataset}`",
        )
    return min(shared, key=lambda slug: (not slug.startswith("lexical_"), slug))


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of the items that have a vector.

    Raises:
        NotFoundError: items and intents have no vectors of one model.
    """
    statement = written_for("embedded_nodes", Label.ITEM, embedding(graph, dataset))
    return [row["uid"].removeprefix(uid(dataset, "")) for row in graph.run(statement, dataset=dataset)]


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Choice]:
    """Yield items with the intents near to them; those that have no vector, or nothing near, are left out.

    Raises:
        NotFoundError: there is no such dataset, or items and intents have no vectors of one model.
    """
    statement = written_for("intents_near_items", Label.INTENT, embedding(graph, dataset))
    for start in range(0, len(chosen), item_intents.BATCH):
        part = chosen[start : start + item_intents.BATCH]
        uids = [uid(dataset, item) for item in part]
        rows = graph.run(statement, dataset=dataset, items=uids, limit=CANDIDATES)
        near = {row["item"]: tuple((each["id"], each["name"]) for each in row["intents"]) for row in rows}
        for card in item_intents.read(graph, dataset, part):
            if near.get(card.id):
                yield Choice(card, near[card.id])


def plan(found: Iterable[Choice], field: str) -> Iterator[Subject]:
    """One subject an item. Its input is the text that the prompt will hold, and the intent each line stands for."""
    for choice in found:
        numbered = enumerate(choice.candidates, start=1)
        yield Subject(
            choice.card.id,
            {
                "field": field,
                "item": line(choice.card, item_intents.LONGEST_TEXT),
                "candidates": "\n".join(data_line({"n": number, "intent": name}) for number, (_, name) in numbered),
                "intents": [list(candidate) for candidate in choice.candidates],
            },
        )


def work(subject: Subject) -> Work:
    """Ask once."""
    shown = {name: subject.input[name] for name in ("field", "item", "candidates")}
    answer: RelatedIntents = yield Request(template("related_item_intents").render(**shown), RelatedIntents)
    return answer


def apply(subject: Subject, answer: RelatedIntents, dataset: str) -> dict[str, Any]:
    """Turn an answer into intents of the second round. Numbers that no candidate has are left out.

    Raises:
        UnusableAnswerError: it gives numbers, and none is a candidate's.
    """
    candidates: list[list[str]] = subject.input["intents"]
    chosen = sorted({number for number in answer.related if 1 <= number <= len(candidates)})
    if answer.related and not chosen:
        raise UnusableAnswerError("no number is that of a candidate")
    intents = [
        {"uid": uid(dataset, identifier), "id": identifier, "name": name, "evidence": [subject.id]}
        for identifier, name in (candidates[number - 1] for number in chosen)
    ]
    return {"round": 2, "intents": intents}


JOB = Job(
    name="related_item_intents",
    help="Which other intents of the pool each item serves; after `item_intents` and `cikg embed`.",
    about=Label.ITEM,
    prompts=("related_item_intents",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_item_intents",
)
