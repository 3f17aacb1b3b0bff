"""What IKGR's second round shares between items and users: candidates by vectors, and what a choice of them becomes.

The candidates are intents of the pool that the first round made; no new ones come of it. Planning gives vectors, by the
embedder of the settings, to what has none or has changed, and notes on the dataset which embedding the candidates are
found in, so that all workers look in the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cikg.errors import InputError
from cikg.extraction.job import UnusableAnswerError
from cikg.extraction.parts.histories import dataset_row
from cikg.extraction.parts.phrases import data_line
from cikg.extraction.parts.portions import portions
from cikg.graph import Graph
from cikg.graph.vectors import written_for
from cikg.schema import Label, uid
from cikg.settings import load_settings

CANDIDATES = 100
MOST_RELATED = 10

Candidates = tuple[tuple[str, str], ...]
"""Ids and names of intents, the nearest first."""


def embed(graph: Graph, dataset: str, labels: Sequence[Label]) -> str:
    """Give nodes vectors where they lack them, and note that candidates are found by these.

    Returns:
        The slug of the embedding.

    Raises:
        NotFoundError: there is no such dataset.
        InputError: it has no intents.
        CikgError: the embedder of the settings does not answer.
    """
    from cikg.extraction.steps.embedding import embed, embedder  # noqa: PLC0415 - scikit-learn takes a second to import

    dataset_row(graph, dataset)
    with embedder(load_settings()) as model:
        made = embed(graph, dataset, model, labels)
    if not made.nodes[Label.INTENT]:
        raise InputError(
            f"{dataset!r} has no intents to choose from",
            cure=f"Find some first: `cikg extract item_intents --dataset {dataset}`",
        )
    graph.write("relate_by", dataset=dataset, embedding=made.embedding)
    return made.embedding


def near(graph: Graph, dataset: str, statement: str, chosen: Sequence[str]) -> Iterator[tuple[str, Candidates]]:
    """Yield ids of items or users with the intents near to them that they do not have; those without any are left out.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        statement: finds them for `$uids`.
        chosen: ids of the items or users.
    """
    embedding = graph.one("related_by", dataset=dataset)["embedding"]
    query = written_for(statement, Label.INTENT, embedding)
    for part in portions(chosen):
        uids = [uid(dataset, one) for one in part]
        for found in graph.run(query, dataset=dataset, uids=uids, limit=CANDIDATES):
            if found["intents"]:
                yield found["id"], tuple((each["id"], each["name"]) for each in found["intents"])


def offered(candidates: Candidates) -> dict[str, Any]:
    """What of a subject's input shows candidates: a numbered line for each, and which intent it stands for."""
    lines = [data_line({"n": number, "intent": name}) for number, (_, name) in enumerate(candidates, start=1)]
    return {"candidates": "\n".join(lines), "intents": [list(candidate) for candidate in candidates]}


def chosen(
    numbers: Iterable[tuple[int, Sequence[str]]], intents: Sequence[Sequence[str]], dataset: str
) -> dict[str, Any]:
    """Numbers of candidates, each with the ids of its evidence, as intents of the second round.

    Numbers that no candidate has, and those without evidence, are left out. Choosing none is an answer.

    Raises:
        UnusableAnswerError: there are numbers, and none can be used.
    """
    given = list(numbers)
    evidence = {number: list(items) for number, items in given if 1 <= number <= len(intents) and items}
    if given and not evidence:
        raise UnusableAnswerError("no number is that of a candidate that the answer shows to fit")
    found = [
        {"uid": uid(dataset, identifier), "id": identifier, "name": name, "evidence": evidence[number]}
        for number, (identifier, name) in enumerate(intents, start=1)
        if number in evidence
    ]
    return {"round": 2, "intents": found}
