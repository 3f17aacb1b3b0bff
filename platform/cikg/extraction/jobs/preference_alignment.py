"""Job `preference_alignment`: which intents are other words for the same; proposes to merge them.

Paper: SeeKRec, "user preference alignment": a merge map in strict JSON over batches of phrases.
Departures: a batch holds phrases that share words, not any; the one that stays is one of them, by its number, so that
merging makes no phrase that nobody has; only what means the same is merged, where the paper's prompt merges into
broader categories. What the answer says becomes proposals, which `cikg intents review` or the pipeline's next step
accepts: each merge is audited, and can be taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cikg.extraction.job import Job, Subject, UnusableAnswerError, ask_once
from cikg.extraction.parts.phrases import data_line
from cikg.graph import Graph
from cikg.schema import Label, uid

MOST_OF_A_BATCH = 30
"""Phrases of one question."""
LEAST_SHARED = 0.3
"""Cosine of the words of two phrases from which they are near."""
_WEIGHT_OF_WORDS = 4
"""A word counts as much as so many of its groups of three letters."""


class Merge(BaseModel):
    """Phrases that mean the same, by their numbers."""

    model_config = ConfigDict(extra="forbid")

    into: int
    merged: list[int] = Field(min_length=1)


class PreferenceAlignment(BaseModel):
    """The answer: what to merge; whatever it does not name stays as it is."""

    model_config = ConfigDict(extra="forbid")

    merges: list[Merge] = Field(max_length=MOST_OF_A_BATCH)


@dataclass(frozen=True, slots=True)
class Batch:
    """Intents with near names, as (id, name); the first one's id is the batch's."""

    intents: tuple[tuple[str, str], ...]


def batches(intents: Mapping[str, str]) -> list[Batch]:
    """Put intents with near names together. An intent more changes no batch but those that it is near to.

    Shorter names first, each goes to the batch whose first name is nearest, or begins one. Batches of one are left out.

    Args:
        intents: name by id.
    """
    found: list[list[str]] = []
    features, leaders_with = {}, defaultdict[str, list[int]](list)
    for identifier in sorted(intents, key=lambda each: (len(each), each)):
        own = features[identifier] = _features(intents[identifier])
        shared: dict[int, float] = defaultdict(float)
        for feature, weight in own.items():
            for place in leaders_with.get(feature, ()):
                shared[place] += weight * features[found[place][0]][feature]
        near = [(-cosine, place) for place, cosine in shared.items() if len(found[place]) < MOST_OF_A_BATCH]
        cosine, place = min(near, default=(0.0, -1))
        if -cosine >= LEAST_SHARED:
            found[place].append(identifier)
        else:
            for feature in own:
                leaders_with[feature].append(len(found))
            found.append([identifier])
    return [Batch(tuple((each, intents[each]) for each in batch)) for batch in found if len(batch) > 1]


def _features(name: str) -> dict[str, float]:
    """The words of a name that carry its meaning, and their groups of three letters: a vector of length 1."""
    from cikg.text.lexical import normalise  # noqa: PLC0415 - loads scikit-learn, and jobs are listed without it

    weights: dict[str, float] = {}
    for word in normalise(name).split():
        weights[word] = _WEIGHT_OF_WORDS
        padded = f"<{word}>"
        weights |= {f"<{padded[at : at + 3]}": 1.0 for at in range(len(padded) - 2)}
    length = sum(weight**2 for weight in weights.values()) ** 0.5
    return {feature: weight / length for feature, weight in weights.items()}


def _batches(graph: Graph, dataset: str) -> dict[str, Batch]:
    names = {row["id"]: row["name"] for row in graph.many("intents_ever", dataset=dataset)}
    return {batch.intents[0][0]: batch for batch in batches(names)}


def ids(graph: Graph, dataset: str) -> list[str]:
    """The ids of all batches: of the first intent of each."""
    return sorted(_batches(graph, dataset))


def read(graph: Graph, dataset: str, chosen: Sequence[str]) -> Iterator[Batch]:
    """Yield batches. Intents that were merged are in them as before: what was done must not change what is asked."""
    found = _batches(graph, dataset)
    for identifier in chosen:
        if identifier in found:
            yield found[identifier]


def plan(found: Iterable[Batch], field: str) -> Iterator[Subject]:
    """One subject a batch."""
    for batch in found:
        numbered = enumerate(batch.intents, start=1)
        yield Subject(
            batch.intents[0][0],
            {
                "field": field,
                "phrases": "\n".join(data_line({"n": number, "phrase": name}) for number, (_, name) in numbered),
                "intents": [identifier for identifier, _ in batch.intents],
            },
        )


work = ask_once("preference_alignment", PreferenceAlignment)


def apply(subject: Subject, answer: PreferenceAlignment, dataset: str) -> dict[str, Any]:
    """Turn an answer into pairs. A number that no phrase has, or that was used before, is left out.

    Raises:
        UnusableAnswerError: it names groups, and none has two phrases that there are.
    """
    intents: list[str] = subject.input["intents"]
    used: set[int] = set()
    pairs = []
    for merge in answer.merges:
        group = [n for n in dict.fromkeys([merge.into, *merge.merged]) if 1 <= n <= len(intents) and n not in used]
        if merge.into not in group:
            continue
        used.update(group)
        into, *others = (uid(dataset, intents[number - 1]) for number in group)
        pairs += [{"intent": other, "into": into} for other in others]
    if answer.merges and not pairs:
        raise UnusableAnswerError("no group has two of the phrases")
    return {"intents": [uid(dataset, each) for each in intents], "pairs": pairs}


JOB = Job(
    name="preference_alignment",
    help="Which intents mean the same in other words; proposes to merge them.",
    about=Label.INTENT,
    prompts=("preference_alignment",),
    ids=ids,
    read=read,
    plan=plan,
    work=work,
    apply=apply,
    write="propose_alignments",
    answer_tokens=20,
)
