"""Merging intents that mean the same, and taking it back.

Proposals come from the names (`exact`: equal but for case, accents' encoding, spaces and punctuation), from the
intents' vectors (`vector`: cosine at least a threshold), or from a model (`llm`: the job `preference_alignment`). A
person accepts or rejects them, or `accept` takes all of one kind. Merging moves an intent's edges to the one that
stays and marks each with where it came from; unmerging moves just these back. What people corrected about a user or an
item holds for whatever the intent is merged with. Who decided what, when, by which method and score stays on the
SAME_AS edge between the two.
"""

from __future__ import annotations

import getpass
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.extraction.parts.histories import dataset_row
from cikg.graph import Graph, datasets
from cikg.graph.vectors import near_duplicates
from cikg.schema import uid

BATCH = 1_000
"""Proposals a transaction."""


class Method(StrEnum):
    """What led to a proposal."""

    EXACT = "exact"
    VECTOR = "vector"
    LLM = "llm"  # proposed by a job, not by `propose`


class Verdict(StrEnum):
    """The state of a pair."""

    PROPOSED = "proposed"
    MERGED = "merged"
    REJECTED = "rejected"
    UNDONE = "undone"


@dataclass(frozen=True)
class Pair:
    """Two intents, and what was thought of them.

    Attributes:
        intent, name: the id and name of the one that goes.
        into, into_name: of the one that stays.
        state: what was decided.
        method: what led to it: `exact`, `vector` or `manual`.
        score: from 0 to 1; None for a person's own idea.
        history: who decided what, and when, the latest last.
        edges, into_edges: how many users and items have each now.
    """

    intent: str
    name: str
    into: str
    into_name: str
    state: Verdict
    method: str
    score: float | None
    history: list[str]
    edges: int
    into_edges: int


@dataclass(frozen=True)
class Moved:
    """What a merge or its undoing did.

    Attributes:
        intent: the id of the intent that went or came back.
        into: the id of the one that stays.
        edges: edges of users and items that changed hands.
    """

    intent: str
    into: str
    edges: int


def normal_form(name: str) -> str:
    """A name without case, punctuation and doubled spaces, in one encoding of its characters: equal for equal words."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.sub(r"[\W_]+", " ", folded).split()) or folded


def propose(
    graph: Graph,
    dataset: str,
    method: Method = Method.EXACT,
    *,
    threshold: float = 0.9,
    embedding: str | None = None,
    actor: str | None = None,
) -> int:
    """Look for intents that may mean the same, and queue them for review. Pairs that were ever judged stay as they are.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        method: how to look.
        threshold: least cosine of two vectors, for `vector`.
        embedding: which vectors, for `vector`; see `cikg embed`.
        actor: who asks; the account's name if None.

    Returns:
        How many pairs are new.

    Raises:
        NotFoundError: there is no such dataset, or it has no such vectors.
    """
    dataset_row(graph, dataset)
    intents = graph.many("intent_names", dataset=dataset)
    found = _same_names(intents) if method is Method.EXACT else _near(graph, dataset, intents, threshold, embedding)
    entry = _entry(actor, Verdict.PROPOSED, f"{method}")
    rows = [{**row, "method": str(method), "entry": entry} for row in found]
    proposed = 0
    for start in range(0, len(rows), BATCH):
        written = graph.write("propose_merges", dataset=dataset, rows=rows[start : start + BATCH])
        proposed += written[0]["proposed"]
    return proposed


def _same_names(intents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pair each intent with the one of its name that most have."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for intent in intents:
        groups[normal_form(intent["name"])].append(intent)
    rows = []
    for group in groups.values():
        stays, *others = sorted(group, key=_standing)
        rows += [{"intent": other["uid"], "into": stays["uid"], "score": 1.0} for other in others]
    return rows


def _near(
    graph: Graph, dataset: str, intents: list[dict[str, Any]], threshold: float, embedding: str | None
) -> list[dict[str, Any]]:
    """Pair intents whose vectors are near, the one that fewer have going."""
    standing = {intent["uid"]: intent for intent in intents}
    rows = []
    for pair in near_duplicates(graph, dataset, threshold=threshold, slug=embedding):
        stays, goes = sorted((standing[pair.intent], standing[pair.other]), key=_standing)
        rows.append({"intent": goes["uid"], "into": stays["uid"], "score": pair.score})
    return rows


def _standing(intent: dict[str, Any]) -> tuple[int, str]:
    return -intent["edges"], intent["uid"]


def pairs(graph: Graph, dataset: str, *states: Verdict) -> list[Pair]:
    """The pairs in these states, the likeliest first.

    Raises:
        NotFoundError: there is no such dataset.
    """
    dataset_row(graph, dataset)
    rows = graph.many("merge_pairs", dataset=dataset, states=[str(state) for state in states])
    return [Pair(**{**row, "state": Verdict(row["state"])}) for row in rows]


def merge(
    graph: Graph,
    dataset: str,
    intent: str,
    into: str,
    *,
    method: str | None = None,
    score: float | None = None,
    actor: str | None = None,
) -> Moved:
    """Merge an intent into another one. Repeating it changes nothing.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        intent: the id of the one that goes.
        into: the id of the one that stays.
        method: what led to it; that of the proposal, else `manual`, if None.
        score: that of the proposal if None.
        actor: who decides; the account's name if None.

    Raises:
        NotFoundError: there is no such intent.
        InputError: both are one.
        ConflictError: either is merged into another one.
    """
    if intent == into:
        raise InputError(f"the intent {intent!r} cannot be merged into itself")
    found = _intents(graph, dataset, [intent, into])
    if found[intent]["merged_into"] == uid(dataset, into):
        return Moved(intent, into, 0)
    for row in (found[intent], found[into]):
        if row["merged_into"] is not None:
            raise ConflictError(
                f"the intent {row['id']!r} is merged into {row['survivor']!r}",
                cure="Merge that one instead, or unmerge it first",
            )
    keys = {"intent": uid(dataset, intent), "into": uid(dataset, into)}
    change = {"dataset": dataset, **keys, "method": method, "score": score, "entry": _entry(actor, Verdict.MERGED)}
    rows, _ = graph.write_together([("merge_intent", change), ("settle_corrections", {"intents": list(keys.values())})])
    if not rows and _intents(graph, dataset, [intent])[intent]["merged_into"] == uid(dataset, into):
        return Moved(intent, into, 0)  # the commit's answer was lost, and the statement ran twice
    return Moved(intent, into, _first(rows, intent)["moved"])


def accept(
    graph: Graph, dataset: str, method: Method | None = None, *, least: float = 0.0, actor: str | None = None
) -> int:
    """Merge what is proposed, the likeliest first; how many pairs that were.

    Where the one that should stay was merged itself, its edges are where it went; a pair that is one is skipped.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        method: only proposals of this kind; of all if None.
        least: the least score of a proposal.
        actor: who decides; the account's name if None.

    Raises:
        NotFoundError: there is no such dataset.
    """
    merged = 0
    for pair in pairs(graph, dataset, Verdict.PROPOSED):
        if (method is None or pair.method == method) and pair.score is not None and pair.score >= least:
            merged += accept_pair(graph, dataset, pair, actor=actor)
    return merged


def accept_pair(graph: Graph, dataset: str, pair: Pair, *, actor: str | None = None) -> bool:
    """Merge a pair as `accept` does; False where an earlier merge made it pointless."""
    into = _standing_for(graph, dataset, pair.into)
    if into == pair.intent or _standing_for(graph, dataset, pair.intent) != pair.intent:
        return False
    merge(graph, dataset, pair.intent, into, method=pair.method, score=pair.score, actor=actor)
    return True


def _standing_for(graph: Graph, dataset: str, intent: str) -> str:
    """The id of the intent that an intent was merged into at last; its own if it was not."""
    while (survivor := _intents(graph, dataset, [intent])[intent]["survivor"]) is not None:
        intent = survivor
    return intent


def unmerge(graph: Graph, dataset: str, intent: str, *, actor: str | None = None) -> Moved:
    """Take a merge back: the intent has its edges again, and the other keeps its own.

    Raises:
        NotFoundError: there is no such intent.
        ConflictError: it is not merged, or the one that has its edges is merged itself.
    """
    row = _intents(graph, dataset, [intent])[intent]
    if row["merged_into"] is None:
        raise ConflictError(
            f"the intent {intent!r} is not merged", cure="`cikg intents list --state merged` shows which are"
        )
    if row["survivor_merged_into"] is not None:
        raise ConflictError(
            f"the intent {row['survivor']!r}, which has the edges of {intent!r}, is merged itself",
            cure=f"Unmerge {row['survivor']!r} first",
        )
    keys = [uid(dataset, each) for each in (intent, row["survivor"])]
    change = {"dataset": dataset, "intent": keys[0], "entry": _entry(actor, Verdict.UNDONE)}
    rows, _ = graph.write_together([("unmerge_intent", change), ("settle_corrections", {"intents": keys})])
    return Moved(intent, row["survivor"], _first(rows, intent)["moved"])


def reject(graph: Graph, dataset: str, intent: str, into: str, *, actor: str | None = None) -> None:
    """Note that two intents differ, so that they are not proposed again.

    Raises:
        NotFoundError: there is no such intent.
        ConflictError: the first is merged; it has to be unmerged instead.
    """
    found = _intents(graph, dataset, [intent, into])
    if found[intent]["merged_into"] is not None:
        raise ConflictError(f"the intent {intent!r} is merged", cure="Unmerge it instead")
    entry = _entry(actor, Verdict.REJECTED)
    graph.write("reject_merge", dataset=dataset, intent=uid(dataset, intent), into=uid(dataset, into), entry=entry)


def _intents(graph: Graph, dataset: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What stands in the way of merging intents, by id.

    Raises:
        NotFoundError: one of them is not there, or the dataset is not.
    """
    found = {row["id"]: row for row in graph.many("intent_for_merging", dataset=dataset, ids=list(ids))}
    for identifier in ids:
        if identifier not in found:
            datasets.check(graph, dataset)
            raise NotFoundError(
                f"there is no intent {identifier!r} in the dataset {dataset!r}",
                cure="An intent's id is its phrase in small letters, as `cikg query intents_by_holders` shows it",
            )
    return found


def _first(rows: list[dict[str, Any]], intent: str) -> dict[str, Any]:
    if not rows:
        raise ConflictError(f"somebody else changed the intent {intent!r} just now", cure="Look at it, then repeat")
    return rows[0]


def _entry(actor: str | None, verdict: Verdict, how: str = "") -> str:
    """A line of a pair's history."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return " ".join(filter(None, (now, str(verdict), f"by {actor or getpass.getuser()}", how and f"({how})")))
