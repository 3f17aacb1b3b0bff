"""Recommendations for a user known only by a sentence: IKGR's cold start, without training again.

Both rounds go over the sentence: the LLM names what it says (exact intents), and chooses among the 100 intents of the
pool that are nearest to it (related ones). What of both is in the pool of the trained model makes the newcomer's vector
and the matching of intents. Nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from cikg.errors import InputError, NotFoundError
from cikg.llm.answers import Usage, address_and_model
from cikg.llm.prompts import Prompt, template
from cikg.recommend import runs
from cikg.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cikg.graph.snapshot import Snapshot
    from cikg.recommend.parts.intent_scoring import IntentScorer

# The API and the pages name these results, and torch and scikit-learn take seconds to load.
# ruff: noqa: PLC0415

CANDIDATES = 100
MOST_INTENTS = 10
LONGEST_SENTENCE = 2_000
MOST_REASONS = 3
ALIKE = 0.7
"""Cosine from which an item's intent counts as one of the person's."""
SAME = 0.9
"""Cosine from which two of a person's intents are one reason."""
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
class KnownIntent:
    """An intent that the model knows.

    Attributes:
        id: its id.
        name: its name.
    """

    id: str
    name: str


@dataclass(frozen=True)
class Taste:
    """What the LLM found in a sentence.

    Attributes:
        exact: intents that the sentence names and the model knows.
        related: related intents that the LLM chose from those the model knows.
        unknown: phrases that the sentence names and no user has.
        calls: number of calls to the LLM.
        tokens: tokens sent and received.
        cost: in the currency of CIKG_LLM_CURRENCY; 0 if the model has no price.
        llm_seconds: seconds spent on these calls.
    """

    exact: tuple[KnownIntent, ...]
    related: tuple[KnownIntent, ...]
    unknown: tuple[str, ...]
    calls: int
    tokens: int
    cost: float
    llm_seconds: float


@dataclass(frozen=True)
class Suggested:
    """An item that is recommended to a new user.

    Attributes:
        rank: from 1.
        item: its id.
        name: its name.
        score: the model's score.
        intents: the new user's intents that speak for the item, most important first.
    """

    rank: int
    item: str
    name: str
    score: float
    intents: tuple[KnownIntent, ...]


@dataclass(frozen=True)
class Suggestions:
    """What is recommended to a new user.

    Attributes:
        dataset: the dataset.
        run: the training run of the model.
        taste: what the LLM found in the sentence; None if intents were given.
        items: in order of rank.
        seconds: seconds spent on everything except the LLM and loading the model.
    """

    dataset: str
    run: str
    taste: Taste | None
    items: tuple[Suggested, ...]
    seconds: float


def newest(settings: Settings, dataset: str) -> Path | None:
    """The directory of the IKGR of a dataset that was trained last and knows intents; None where there is none.

    Raises:
        SnapshotError: a manifest is damaged.
    """
    # Names of datasets may begin alike, as a-b and a-b-c: the manifest says whose run it is.
    found = [(path, runs.read_json(path)) for path in settings.runs.glob(f"{METHOD}-{dataset}-*/{runs.MANIFEST}")]
    fitting = [
        (str(manifest["trained_at"]), "extends" in manifest, path.parent)
        for path, manifest in found
        if manifest["dataset"] == dataset and manifest["config"]["knowledge"] in ("intents", "exact")
    ]
    return max(fitting, default=("", False, None))[2]


def load(settings: Settings, directory: Path) -> Model:
    """Open a run of IKGR.

    Raises:
        NotFoundError: its snapshot had no intents, or is no longer kept.
        SnapshotError: a file of it is damaged.
    """
    from cikg.recommend.parts.intent_scoring import IntentScorer

    recommender = runs.load(directory)
    if not isinstance(recommender.scorer, IntentScorer) or not len(recommender.scorer.intent_vectors):
        dataset = recommender.manifest["dataset"]
        raise NotFoundError(
            f"{recommender.run_id} has no intents",
            cure=f"Run `cikg extract ikgr --dataset {dataset}`, take a snapshot, and train {METHOD} again",
        )
    return Model(recommender.run_id, runs.snapshot(settings, recommender.manifest), recommender.scorer)


def trained(settings: Settings, dataset: str) -> Model:
    """The IKGR of a dataset that was trained last.

    Raises:
        NotFoundError: there is none that knows intents.
        SnapshotError: a file of it is damaged.
    """
    return load(settings, required(newest(settings, dataset), dataset))


def required(directory: Path | None, dataset: str) -> Path:
    """The directory, if there is one.

    Raises:
        NotFoundError: there is none.
    """
    if directory is None:
        raise NotFoundError(
            f"no {METHOD} was trained on the dataset {dataset!r}", cure=f"Run `cikg train {METHOD} --dataset {dataset}`"
        )
    return directory


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
    began = time.perf_counter()
    taste = read(settings, model, sentence)
    items = best(model, [each.id for each in (*taste.exact, *taste.related)], k)
    seconds = round(time.perf_counter() - began - taste.llm_seconds, 3)
    return Suggestions(model.snapshot.dataset, model.run, taste, items, seconds)


def by_intents(model: Model, intents: Sequence[str], k: int = 10) -> Suggestions:
    """Recommend items to somebody who has these intents and nothing else. No LLM is asked.

    Args:
        model: the trained model.
        intents: ids.
        k: how many items.

    Raises:
        InputError: no intent is given.
        NotFoundError: the model does not know one of them.
    """
    began = time.perf_counter()
    items = best(model, intents, k)
    return Suggestions(model.snapshot.dataset, model.run, None, items, round(time.perf_counter() - began, 3))


def read(settings: Settings, model: Model, sentence: str) -> Taste:
    """Ask the LLM what a sentence says of a taste: both rounds.

    Raises:
        InputError: the sentence is empty or too long, or names nothing that the pool has.
        ServiceError: the LLM does not answer.
    """
    sentence = " ".join(sentence.split())
    if not 3 <= len(sentence) <= LONGEST_SENTENCE:
        raise InputError(f"expected a sentence of 3 to {LONGEST_SENTENCE:,} characters, found {len(sentence):,}")
    pool = model.snapshot.intents
    candidates = nearest(pool.names, sentence)
    began, usage = time.perf_counter(), Usage()
    asking = _ask(settings, sentence, [pool.names[each] for each in candidates], usage)
    with ThreadPoolExecutor(1) as apart:  # a notebook's thread, for one, has a loop already
        first, second = apart.submit(asyncio.run, asking).result()
    asked = time.perf_counter() - began
    named = list(dict.fromkeys(" ".join(each.split()) for each in first.intents))
    own = list(dict.fromkeys(pool.index[each.casefold()] for each in named if each.casefold() in pool.index))
    chosen = [candidates[number - 1] for number in second.related if 1 <= number <= len(candidates)]
    related = [each for each in dict.fromkeys(chosen) if each not in own]
    if not own and not related:
        raise InputError(
            "nothing in this sentence is an intent of any user or item",
            cure="Use other words, such as those on the dashboard's page of intents",
        )
    return Taste(
        exact=named_intents(model, own),
        related=named_intents(model, related),
        unknown=tuple(each for each in named if each.casefold() not in pool.index),
        calls=usage.calls,
        tokens=usage.prompt_tokens + usage.completion_tokens,
        cost=round(usage.cost, 6),
        llm_seconds=round(asked, 3),
    )


def named_intents(model: Model, places: Iterable[int]) -> tuple[KnownIntent, ...]:
    """Intents by their places in the pool."""
    pool = model.snapshot.intents
    return tuple(KnownIntent(pool.ids[place], pool.names[place]) for place in places)


def places_of(model: Model, intents: Sequence[str]) -> list[int]:
    """The places of intents in the pool, each once.

    Raises:
        InputError: none is given.
        NotFoundError: the model does not know one of them.
    """
    pool = model.snapshot.intents.index
    if not intents:
        raise InputError("no intent is given", cure="Give the id of at least one")
    unknown = [each for each in intents if each not in pool]
    if unknown:
        raise NotFoundError(
            f"{model.run} does not know the intent {unknown[0]!r}",
            cure=f"Take a snapshot and train {METHOD} again if the intent is new",
        )
    return list(dict.fromkeys(pool[each] for each in intents))


def best(model: Model, intents: Sequence[str], k: int) -> tuple[Suggested, ...]:
    """The items that suit somebody of whom nothing but intents is known, the most fitting first.

    Args:
        model: the trained model.
        intents: ids.
        k: how many.

    Raises:
        InputError: no intent is given.
        NotFoundError: the model does not know one of them.
    """
    import torch

    own = torch.tensor(places_of(model, intents))
    scores = model.scorer.newcomer(own)
    order = torch.argsort(scores, descending=True, stable=True)[:k]
    items = model.snapshot.items
    told = zip(order.tolist(), reasons(model, own.tolist(), order.tolist()), strict=True)
    return tuple(
        Suggested(rank, items.ids[item], items.names[item], round(float(scores[item]), 4), because)
        for rank, (item, because) in enumerate(told, start=1)
    )


def reasons(model: Model, intents: Sequence[int], items: Sequence[int]) -> list[tuple[KnownIntent, ...]]:
    """For each of some items, those of some intents that it satisfies or nearly so, the most alike first.

    Of intents that say the same in other words the first is named alone.

    Args:
        model: the trained model.
        intents: places in the pool.
        items: places in the catalogue.
    """
    import torch

    if not len(intents) or not len(items):
        return [() for _ in items]
    own = torch.tensor(intents)
    vectors = model.scorer.intent_vectors[own]
    same = (vectors @ vectors.T) >= SAME
    found = []
    for likeness in model.scorer.likeness(own, torch.tensor(items)):
        chosen: list[int] = []
        for place in torch.argsort(likeness, descending=True, stable=True).tolist():
            if likeness[place] < ALIKE or len(chosen) == MOST_REASONS:
                break
            if not same[place, chosen].any():
                chosen.append(place)
        found.append(named_intents(model, (intents[each] for each in chosen)))
    return found


def nearest(names: Sequence[str], sentence: str) -> list[int]:
    """The intents that share most words with a sentence, rare ones counting more, as far as they share any."""
    import numpy as np

    from cikg.text import lexical

    vectors = lexical.embed([lexical.normalise(each) for each in (sentence, *names)])
    likeness: NDArray[np.float64] = np.asarray((vectors[1:] @ vectors[0].T).todense()).ravel()
    order = np.argsort(-likeness, kind="stable")[:CANDIDATES]
    return [int(each) for each in order if likeness[each] > 0]


def _line(row: dict[str, Any]) -> str:
    """One line of JSON for a block of data, which no text in it can close."""
    return json.dumps(row, ensure_ascii=False).replace("<", "\\u003c")


async def _ask(
    settings: Settings, sentence: str, candidates: list[str], usage: Usage
) -> tuple[TasteIntents, RelatedToTaste]:
    """Both rounds at once: what the second is offered does not hang on the first."""
    from cikg.llm.client import Client

    _, name = address_and_model(settings)
    taste = _line({"taste": sentence})
    lines = "\n".join(_line({"n": n, "intent": each}) for n, each in enumerate(candidates, start=1))
    first = template("taste_intents").render(taste=taste)
    second = template("related_taste_intents").render(taste=taste, candidates=lines)
    client = Client(settings, name)
    try:

        async def one(prompt: Prompt, schema: type[Schema]) -> Schema:
            return (await client.complete(prompt, schema, {"temperature": 0}, usage)).parsed

        if not candidates:
            return await one(first, TasteIntents), RelatedToTaste(related=[])
        return await asyncio.gather(one(first, TasteIntents), one(second, RelatedToTaste))
    finally:
        await client.close()
