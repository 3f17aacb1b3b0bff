"""What a planned run will cost, before it is started."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cikg.extraction.ledger import Plan
from cikg.extraction.tokens import FIRST_GUESS, prompt_tokens
from cikg.graph import Graph
from cikg.llm import completions
from cikg.settings import Settings


@dataclass(frozen=True)
class Estimate:
    """Calls, tokens, money and time.

    Attributes:
        subjects: subjects that have to be done.
        reused: those whose answer is known already, or is another's.
        calls: those that cost a call, if no answer needs a repair and each conversation is one question.
        prompt_tokens: tokens sent, at four bytes of UTF-8 each.
        completion_tokens: tokens received, at the mean length of this prompt's answers so far.
        cost: in the currency of the settings; None where the model has no price.
        seconds: with one worker, at the mean time of this prompt's answers so far and the rates of the settings; None
            before the first answer.
    """

    subjects: int
    reused: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float | None


def estimate(graph: Graph, plan: Plan, settings: Settings, *, batch: bool = False) -> Estimate:
    """Estimate from each subject's first question; of batches nobody knows the time."""
    run = plan.run
    sizes: dict[str, int] = {}
    for subject in plan.pending:
        request = next(run.job.work(subject))
        key = completions.key(run.model, run.job.parameters, request.prompt, request.schema)
        sizes[key] = prompt_tokens(request.prompt)
    known = completions.find(graph, run.dataset, sizes)
    asked = [size for key, size in sizes.items() if key not in known]
    mean = graph.one("completion_size", dataset=run.dataset, prompt=run.job.prompts[0])
    sent, received = sum(asked), round((mean["tokens"] or FIRST_GUESS) * len(asked))
    price = settings.llm_prices.get(run.model)
    return Estimate(
        subjects=len(plan.pending),
        reused=len(plan.pending) - len(asked),
        calls=len(asked),
        prompt_tokens=sent,
        completion_tokens=received,
        cost=None if price is None else price.cost(sent, received, batch=batch),
        seconds=None if batch else _seconds(settings, len(asked), sent + received, mean["seconds"]),
    )


def _seconds(settings: Settings, calls: int, tokens: int, latency: float | None) -> float | None:
    """The longest of what concurrency and rates allow."""
    if latency is None:
        return None
    waits = [math.ceil(calls / settings.llm_concurrency) * latency]
    waits += [60 * calls / settings.llm_requests_per_minute] if settings.llm_requests_per_minute else []
    waits += [60 * tokens / settings.llm_tokens_per_minute] if settings.llm_tokens_per_minute else []
    return round(max(waits), 1)
