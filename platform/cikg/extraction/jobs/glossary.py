"""Job `glossary`: what the abbreviations and names in a dataset's texts mean, where one would have to look them up.

Paper: IKGR, "in-context learning": explanations of a dataset's terms stand in the prompts of texts that have them.
Departures: the paper's knowledge base is written by hand; here terms are found by their looks
(`cikg.extraction.parts.terms`) and explained by the model, one question a term, from sentences that show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, ask_once
from cikg.extraction.parts import terms
from cikg.extraction.parts.histories import dataset_row
from cikg.extraction.parts.phrases import data_line
from cikg.extraction.parts.terms import Term
from cikg.graph import Graph
from cikg.schema import Label, uid

PAGE = 1_000
"""Items read with one statement."""


class TermMeaning(BaseModel):
    """The answer: what a term means, or nothing where nobody has to be told or nobody can say."""

    model_config = ConfigDict(extra="forbid")

    meaning: str | None = Field(max_length=300)


def ids(graph: Graph, dataset: str) -> list[str]:
    """The terms of a dataset.

    Raises:
        NotFoundError: there is no such dataset.
    """
    dataset_row(graph, dataset)
    return [term.name for term in terms.find(_texts(graph, dataset))]


def clear(graph: Graph, dataset: str) -> None:
    """Remove the entries of terms that the dataset has no longer."""
    graph.write("forget_terms", dataset=dataset, job=JOB.name, terms=ids(graph, dataset))


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Term]:
    """Yield terms with the sentences that show them. One pass over the items' texts."""
    wanted = set(chosen)
    yield from (term for term in terms.find(_texts(graph, dataset)) if term.name in wanted)


def _texts(graph: Graph, dataset: str) -> Iterator[tuple[str, str]]:
    """Ids and texts of a dataset's items, their names first."""
    after = uid(dataset, "")
    while rows := graph.many("item_texts", dataset=dataset, after=after, limit=PAGE):
        after = rows[-1]["uid"]
        yield from ((row["id"], f"{row['name'] or ''}\n{row['text'] or ''}") for row in rows)


def plan(found: Iterable[Term], field: str) -> Iterator[Subject]:
    """One subject a term. Its input is the text that the prompt will hold, and whose sentences they are."""
    for term in found:
        shown = [data_line({"sentence": sentence}) for _, sentence in term.sentences]
        yield Subject(
            term.name,
            {
                "field": field,
                "term": data_line({"term": term.name}),
                "sentences": "\n".join(shown),
                "items": [item for item, _ in term.sentences],
            },
        )


work = ask_once("glossary", TermMeaning)


def apply(subject: Subject, answer: TermMeaning, dataset: str) -> dict[str, Any]:
    """Turn an answer into an entry, or none. Its evidence is the items whose sentences were shown."""
    meaning = " ".join((answer.meaning or "").split())
    entry = f"glossary/{subject.id}"
    return {"entry": entry, "term": subject.id, "meaning": meaning or None, "evidence": subject.input["items"]}


JOB = Job(
    name="glossary",
    help="What abbreviations and names in the items' texts mean; used in the prompts that show such texts.",
    about=Label.DATASET,
    prompts=("glossary",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="replace_glossary_entries",
    clear=clear,
    answer_tokens=20,
)
