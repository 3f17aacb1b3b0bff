"""What a planned run will cost, before it is started."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cikg.extraction.ledger import Plan
from cikg.extraction.tokens import prompt_tokens
from cikg.graph import Graph
from cikg.llm import completions
from cikg.settings import Settings

LATER_QUESTION = 0.75
"""Length of a conversation's later questions, of that of its first, where none was had yet."""


@dataclass(frozen=True)
class Estimate:
    """An estimate of calls, tokens, cost and time.

    Attributes:
        model: the model that will be asked.
        subjects: number of subjects that are left to do.
        reused: number of those whose answer is stored already or is the same as another's.
        calls: number of calls to the LLM, from the length of this job's conversations on the dataset so far; before the
            first, from the job's own expectation.
        prompt_tokens: tokens to send, at four bytes of UTF-8 each.
        completion_tokens: tokens to receive, likewise.
        cost: in the currency of CIKG_LLM_CURRENCY; None if the model has no price.
        seconds: with one worker, from the mean time of this prompt's answers so far and the configured rates; None
            before the first answer.
    """

    model: str
    subjects: int
    reused: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float | None


def estimate(graph: Graph, plan: Plan, settings: Settings, *, batch: bool = False) -> Estimate:
    """Estimate from each subject's first question, and from what became of others; of batches nobody knows the time."""
    run = plan.run
    sizes: dict[str, int] = {}
    for subject in plan.pending:
        request = next(run.job.work(subject))
        key = completions.key(run.model, run.job.parameters, request.prompt, request.schema)
        sizes[key] = prompt_tokens(request.prompt)
    known = completions.find(graph, run.dataset, sizes)
    asked = [size for key, size in sizes.items() if key not in known]
    first = graph.one("completion_size", dataset=run.dataset, prompt=run.job.prompts[0])
    mean = graph.one("conversation_size", dataset=run.dataset, job=run.job.name)
    questions, received = run.job.questions, run.job.questions * run.job.answer_tokens
    growth = 1 + LATER_QUESTION * (questions - 1)
    if mean["questions"]:
        questions, received = mean["questions"], mean["received"]
        growth = max(1.0, mean["sent"] / first["sent"]) if first["sent"] else growth
    calls, sent, received = round(questions * len(asked)), round(growth * sum(asked)), round(received * len(asked))
    price = settings.llm_prices.get(run.model)
    return Estimate(
        model=run.model,
        subjects=len(plan.pending),
        reused=len(plan.pending) - len(asked),
        calls=calls,
        prompt_tokens=sent,
        completion_tokens=received,
        cost=None if price is None else price.cost(sent, received, batch=batch),
        seconds=None if batch else _seconds(settings, calls, sent + received, first["seconds"]),
    )


def _seconds(settings: Settings, calls: int, tokens: int, latency: float | None) -> float | None:
    """The longest of what concurrency and rates allow."""
    if latency is None:
        return None
    waits = [math.ceil(calls / settings.llm_concurrency) * latency]
    waits += [60 * calls / settings.llm_requests_per_minute] if settings.llm_requests_per_minute else []
    waits += [60 * tokens / settings.llm_tokens_per_minute] if settings.llm_tokens_per_minute else []
    return round(max(waits), 1)
