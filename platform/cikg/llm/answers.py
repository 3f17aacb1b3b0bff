"""Answers of an LLM: what they cost, how they are read, and the ways in which they can be of no use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from cikg.errors import ServiceError, SettingsError, UnreachableError
from cikg.settings import Settings

LONGEST_ANSWER = 200_000
"""Characters beyond which an answer is not read: no schema of ours needs a hundredth of it."""
_FENCED = re.compile(r"```(?:json)?[^\S\n]*+\n(.*)\n[^\S\n]*+```", re.DOTALL)

Schema = TypeVar("Schema", bound=BaseModel)


class AnswerError(ServiceError):
    """The LLM answered, and the answer cannot be used: the subject is quarantined with the raw text.

    Args:
        message: what is wrong with it.
        text: the answer as it came.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text[:LONGEST_ANSWER]


class BusyError(ServiceError):
    """The provider is asked too often, and says when to come back.

    Args:
        message: what to tell a person.
        seconds: how long to wait; None where it does not say.
        cure: what to do.
    """

    def __init__(self, message: str, seconds: float | None, cure: str | None = None) -> None:
        super().__init__(message, cure)
        self.seconds = seconds


class RefusedError(AnswerError):
    """The model declined, or the provider's content filter stopped it."""


class LengthError(AnswerError):
    """The answer was cut off, or is longer than any sensible one."""


class InvalidAnswerError(AnswerError):
    """The answer does not follow the schema, and its one repair did not either."""


@dataclass(slots=True)
class Usage:
    """What answers cost, added up over the calls of one subject."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency: float = 0.0  # seconds
    cost: float = 0.0  # in `llm_currency`; 0 where the model has no price

    def add(self, other: Usage) -> None:
        """Add the cost of another."""
        self.calls += other.calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.latency += other.latency
        self.cost += other.cost


@dataclass(frozen=True, slots=True)
class Answer(Generic[Schema]):
    """A validated answer.

    Attributes:
        parsed: the answer as the schema's class.
        text: the JSON it was read from.
        model: the model that the server says answered.
        usage: calls, tokens, seconds and money, a repair included.
        finish: why the model stopped, in the server's word.
    """

    parsed: Schema
    text: str
    model: str
    usage: Usage = field(default_factory=Usage)
    finish: str = "stop"


def read(schema: type[Schema], text: str) -> Schema:
    """Validate an answer's text, with or without a Markdown fence around it.

    Raises:
        ValidationError: it is not JSON, or does not follow the schema.
    """
    fenced = _FENCED.fullmatch(text.strip())
    return schema.model_validate_json(fenced[1] if fenced else text)


def address_and_model(settings: Settings) -> tuple[str, str]:
    """Where to ask, and which model.

    Raises:
        UnreachableError: no LLM is configured.
        SettingsError: no model is named.
    """
    if settings.openai_base_url is None:
        raise UnreachableError(
            "no LLM is configured",
            cure="Start the offline stand-in with `cikg up`, or set OPENAI_BASE_URL and OPENAI_MODEL",
        )
    if settings.openai_model is None:
        raise SettingsError("no model is configured", cure="Set OPENAI_MODEL to the model to ask")
    return settings.openai_base_url, settings.openai_model


def first_problem(problem: ValidationError) -> str:
    """What is wrong with an answer, in one line: the place and the first complaint."""
    detail = problem.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in detail["loc"])
    return f"{where}: {detail['msg']}" if where else detail["msg"]
