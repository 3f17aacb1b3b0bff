"""What a planned run will cost, before it is started."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cikg.extraction.ledger import Plan
from cikg.graph import Graph
from cikg.llm import completions
from cikg.llm.prompts import Prompt

FIRST_GUESS = 60
"""Tokens of an answer, where the dataset has none of this prompt yet to take the mean of."""


@dataclass(frozen=True)
class Estimate:
    """Calls and tokens.

    Attributes:
        subjects: subjects that have to be done.
        reused: those whose answer is known already.
        calls: those that cost a call, if no answer needs a repair and each conversation is one question.
        prompt_tokens: tokens sent, at four bytes of UTF-8 each.
        completion_tokens: tokens received, at the mean length of this prompt's answers so far.
    """

    subjects: int
    reused: int
    calls: int
    prompt_tokens: int
    completion_tokens: int


def estimate(graph: Graph, plan: Plan) -> Estimate:
    """Estimate from each subject's first question."""
    run = plan.run
    sizes: list[tuple[str, int]] = []
    for subject in plan.pending:
        request = next(run.job.work(subject))
        key = completions.key(run.model, run.job.parameters, request.prompt, request.schema)
        sizes.append((key, prompt_tokens(request.prompt)))
    known = completions.find(graph, run.dataset, [key for key, _ in sizes])
    asked = [size for key, size in sizes if key not in known]
    mean = graph.one("completion_size", dataset=run.dataset, prompt=run.job.prompts[0])["tokens"] or FIRST_GUESS
    return Estimate(
        subjects=len(plan.pending),
        reused=len(plan.pending) - len(asked),
        calls=len(asked),
        prompt_tokens=sum(asked),
        completion_tokens=round(mean * len(asked)),
    )


def prompt_tokens(prompt: Prompt) -> int:
    """Tokens of a prompt, roughly: four bytes each, and three to frame a message."""
    return 3 + sum(3 + math.ceil(len(text.encode()) / 4) for _, text in prompt.messages)
