"""Recommendations for somebody of whom nothing is known but a sentence: IKGR's cold start, without training again.

Both rounds go over the sentence: the LLM names what it says (exact intents), and chooses among the 100 intents of the
pool that are nearest to it (related ones). What of both is in the pool of the trained model makes the newcomer's vector
and the matching of intents. Nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import InputError, NotFoundError
from cikg.graph.snapshot import open_snapshot
from cikg.llm.answers import address_and_model
from cikg.llm.client import Client
from cikg.llm.prompts import Prompt, template
from cikg.recommend import runs
from cikg.recommend.intent_scoring import IntentScorer
from cikg.settings import Settings
from cikg.text import lexical

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

CANDIDATES = 100
MOST_INTENTS = 10
LONGEST_SENTENCE = 2_000
MOST_REASONS = 3
ALIKE = 0.7
"""Cosine from which an item's intent counts as one of the person's."""
METHOD = "ikgr"


class TasteIntents(BaseModel):
    """The first round's answer: what a sentence says that somebody is after."""

    model_config = ConfigDict(extra="forbid")

    intents: list[str] = Field(min_length=1, max_length=MOST_INTENTS)


class RelatedToTaste(BaseModel):
    """The second round's answer: numbers of candidates, the most fitting first."""

    model_config = ConfigDict(extra="forbid")

    related: list[int] = Field(max_length=MOST_INTENTS)


Schema = TypeVar("Schema", bound=BaseModel)


@dataclass(frozen=True)
class Model:
    """A trained IKGR, and the snapshot whose indices it speaks."""

    run: str
    snapshot: Snapshot
    scorer: IntentScorer


@dataclass(frozen=True)
class Suggested:
    """A recommended item.

    Attributes:
        rank: from 1.
        item: its id.
        name: its name.
        score: the model's.
        intents: those of the newcomer's that speak for it, the most telling first.
    """

    rank: int
    item: str
    name: str
    score: float
    intents: tuple[str, ...]


@dataclass(frozen=True)
class Suggestions:
    """What is recommended to a newcomer.

    Attributes:
        dataset: the dataset.
        run: the run that trained the model.
        exact: intents that the sentence names and that the model knows.
        related: those that were chosen from the pool.
        unknown: those that it names and that nobody has.
        items: in order of rank.
        llm_seconds: spent on asking.
        seconds: spent on all else, after the model was loaded.
    """

    dataset: str
    run: str
    exact: tuple[str, ...]
    related: tuple[str, ...]
    unknown: tuple[str, ...]
    items: tuple[Suggested, ...]
    llm_seconds: float
    seconds: float


def trained(settings: Settings, dataset: str) -> Model:
    """The IKGR of a dataset that was trained last.

    Raises:
        NotFoundError: there is none.
        SnapshotError: a file of it is damaged.
    """
    found = [runs.read_json(path) for path in settings.runs.glob(f"{METHOD}-{dataset}-*/{runs.MANIFEST}")]
    found = [manifest for manifest in found if manifest["dataset"] == dataset]
    if not found:
        raise NotFoundError(
            f"no {METHOD} was trained on {dataset!r}", cure=f"Run `cikg train {METHOD} --dataset {dataset}`"
        )
    manifest = max(found, key=lambda each: str(each["trained_at"]))
    recommender = runs.load(settings.runs / manifest["run"])
    snapshot = open_snapshot(settings.snapshots / dataset / recommender.snapshot_hash[:16])
    if not isinstance(recommender.scorer, IntentScorer) or not len(recommender.scorer.intent_vectors):
        raise NotFoundError(
            f"{recommender.run_id} knows no intents",
            cure=f"Run `cikg extract ikgr --dataset {dataset}`, then train {METHOD} again",
        )
    return Model(recommender.run_id, snapshot, recommender.scorer)


def suggest(settings: Settings, model: Model, sentence: str, k: int = 10) -> Suggestions:
    """Recommend items to somebody who says in a sentence what they like.

    Args:
        settings: say where the LLM is.
        model: the trained model.
        sentence: what they say; it is data for the LLM, never an instruction.
        k: how many items.

    Raises:
        InputError: the sentence is empty or too long, or names nothing that the pool has.
        ServiceError: the LLM does not answer.
    """
    sentence = " ".join(sentence.split())
    if not 3 <= len(sentence) <= LONGEST_SENTENCE:
        raise InputError(f"a taste is a sentence of 3 to {LONGEST_SENTENCE:,} characters")
    began, pool = time.perf_counter(), model.snapshot.intents
    place = {identifier: index for index, identifier in enumerate(pool.ids)}
    candidates = _nearest(pool.names, sentence)
    prepared = time.perf_counter()
    exact, related = asyncio.run(_ask(settings, sentence, [pool.names[each] for each in candidates]))
    answered = time.perf_counter()
    named = list(dict.fromkeys(" ".join(each.split()) for each in exact.intents))
    own = [place[each.casefold()] for each in named if each.casefold() in place]
    chosen = [candidates[number - 1] for number in related.related if 1 <= number <= len(candidates)]
    intents = list(dict.fromkeys([*own, *chosen]))
    if not intents:
        raise InputError(
            "nothing in this sentence is an intent that anybody or anything has",
            cure="Say it in other words, such as those on the dashboard's page of intents",
        )
    items = _best(model, torch.tensor(intents), k)
    return Suggestions(
        dataset=model.snapshot.dataset,
        run=model.run,
        exact=tuple(pool.names[each] for each in own),
        related=tuple(pool.names[each] for each in intents if each not in own),
        unknown=tuple(each for each in named if each.casefold() not in place),
        items=items,
        llm_seconds=round(answered - prepared, 3),
        seconds=round(time.perf_counter() - answered + prepared - began, 3),
    )


def _nearest(names: list[str], sentence: str) -> list[int]:
    """The intents that share most words with a sentence, rare ones counting more, as far as they share any."""
    vectors = lexical.embed([lexical.normalise(each) for each in (sentence, *names)])
    likeness = np.asarray((vectors[1:] @ vectors[0].T).todense()).ravel()
    order = np.argsort(-likeness, kind="stable")[:CANDIDATES]
    return [int(each) for each in order if likeness[each] > 0]


def _line(row: dict[str, Any]) -> str:
    """One line of JSON for a block of data, which no text in it can close."""
    return json.dumps(row, ensure_ascii=False).replace("<", "\\u003c")


async def _ask(settings: Settings, sentence: str, candidates: list[str]) -> tuple[TasteIntents, RelatedToTaste]:
    """Both rounds at once: what the second is offered does not hang on the first."""
    _, name = address_and_model(settings)
    taste = _line({"taste": sentence})
    lines = "\n".join(_line({"n": n, "intent": each}) for n, each in enumerate(candidates, start=1))
    first = template("taste_intents").render(taste=taste)
    second = template("related_taste_intents").render(taste=taste, candidates=lines)
    client = Client(settings, name)
    try:

        async def one(prompt: Prompt, schema: type[Schema]) -> Schema:
            return (await client.complete(prompt, schema, {"temperature": 0})).parsed

        if not candidates:
            return await one(first, TasteIntents), RelatedToTaste(related=[])
        return await asyncio.gather(one(first, TasteIntents), one(second, RelatedToTaste))
    finally:
        await client.close()


def _best(model: Model, intents: torch.Tensor, k: int) -> tuple[Suggested, ...]:
    scores = model.scorer.newcomer(intents)
    best = torch.argsort(scores, descending=True, stable=True)[:k]
    parts = model.scorer.likeness(intents, best)
    pool, items = model.snapshot.intents.names, model.snapshot.items
    found = []
    for rank, (item, shares) in enumerate(zip(best.tolist(), parts, strict=True), start=1):
        order = torch.argsort(shares, descending=True)[:MOST_REASONS].tolist()
        reasons = tuple(pool[int(intents[each])] for each in order if shares[each] >= ALIKE)
        found.append(Suggested(rank, items.ids[item], items.names[item], round(float(scores[item]), 4), reasons))
    return tuple(found)
