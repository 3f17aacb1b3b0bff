"""OpenAI's Batch API: many questions in one file, answered within a day, for less money.

https://platform.openai.com/docs/guides/batch: answers come back in an order of their own, some of them as errors, and
what a batch did not come to in time is said so. A question's `custom_id` tells what is the answer to what.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
import openai
from openai.types import Batch
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, ValidationError

from cikg.errors import ServiceError
from cikg.llm.answers import AnswerError, Usage, address_and_model
from cikg.llm.client import content, named_error, response_format
from cikg.llm.prompts import Prompt
from cikg.settings import Price, Settings

MOST_QUESTIONS = 50_000
LARGEST_FILE = 190_000_000
"""What one batch may hold: questions, and bytes; the API's limit is 200 MB."""

_ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_PAGE = 100
_CLOCKS_DIFFER = 3600
"""Seconds by which the provider's clock and ours may differ."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a batch gave back for one question.

    Attributes:
        id: the question's.
        text: the answer as it came; empty where there is none.
        model: who answered, in the server's word.
        usage: what it cost.
        error: why it is of no use, or None.
    """

    id: str
    text: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a batch stands.

    Attributes:
        state: in the provider's word.
        ended: whether anything more can come.
        answered: questions that have an answer or an error so far.
        error: why it failed as a whole, or None.
    """

    state: str
    ended: bool
    answered: int
    error: str | None


def question(
    identifier: str, model: str, prompt: Prompt, schema: type[BaseModel], parameters: Mapping[str, Any]
) -> bytes:
    """A line of a batch's file: the same request that `Client` would send."""
    body = {
        "model": model,
        "messages": [{"role": role, "content": text} for role, text in prompt.messages],
        "response_format": response_format("json_schema", schema),
        **parameters,
    }
    line = {"custom_id": identifier, "method": "POST", "url": _ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def files(
    questions: Iterable[bytes], folder: Path, most: int = MOST_QUESTIONS, largest: int = LARGEST_FILE
) -> Iterator[tuple[Path, int]]:
    """Write questions into as few files as the limits allow; yield each once it is whole, and how many it holds.

    Args:
        questions: lines as `question` makes them.
        folder: where to.
        most: questions a file.
        largest: bytes a file.
    """
    waiting, number = iter(questions), 0
    line = next(waiting, None)
    while line is not None:
        path, count, size = folder / f"questions-{number}.jsonl", 0, 0
        with path.open("wb") as file:
            while line is not None and count < most and (not count or size + len(line) <= largest):
                size, count = size + file.write(line), count + 1
                line = next(waiting, None)
        yield path, count
        number += 1


def reply(line: str | bytes, price: Price | None) -> Reply | None:
    """Read a line of what a batch gave back; None where it says nothing of any question.

    Args:
        line: of the file of answers or of that of errors.
        price: of the model.
    """
    try:
        found = json.loads(line)
        identifier, response = str(found["custom_id"]), found.get("response") or {}
        error = found.get("error") or (response.get("body") or {}).get("error") or {}
        code, said = error.get("code"), error.get("message")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if response.get("status_code") != 200:
        return Reply(identifier, error=str(said or code or "it failed").rstrip("."))
    try:
        completion = ChatCompletion.model_validate(response["body"])
        usage = _usage(completion, price)
        text, model = content(completion)
    except AnswerError as problem:
        return Reply(identifier, problem.text, completion.model, usage, problem.message)
    except (ValidationError, KeyError, IndexError):
        return Reply(identifier, error="the server's answer is not a chat completion")
    return Reply(identifier, text, model, usage)


def _usage(completion: ChatCompletion, price: Price | None) -> Usage:
    prompt = completion.usage.prompt_tokens if completion.usage else 0
    received = completion.usage.completion_tokens if completion.usage else 0
    return Usage(1, prompt, received, cost=price.cost(prompt, received, batch=True) if price else 0.0)


class Batches:
    """The batches of one model.

    Args:
        settings: address, key and time-outs.
        model: the model to ask.

    Raises:
        UnreachableError: no LLM is configured.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        self._address, _ = address_and_model(settings)
        self._model = model
        self.price = settings.llm_prices.get(model)
        self._openai = openai.OpenAI(
            base_url=self._address,
            api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none",
            timeout=settings.llm_timeout,
            max_retries=settings.llm_retries,
            http_client=openai.DefaultHttpxClient(follow_redirects=False),  # a server must not send texts elsewhere
        )

    def close(self) -> None:
        """Close the connections."""
        self._openai.close()

    def submit(self, file: Path, tag: str) -> str:
        """Begin a batch; its id. It is asked for once: where the answer gets lost, `find` says whether there is one.

        Args:
            file: its questions.
            tag: tells it from all others.

        Raises:
            ServiceError: the provider does not answer, or refuses.
        """
        with self._translated():
            try:
                uploaded = self._openai.files.create(file=file, purpose="batch")
            except openai.APIStatusError as error:
                if error.status_code not in (404, 405, 501):
                    raise
                raise ServiceError(
                    f"the LLM at {self._address} does not offer batches", cure="Ask without --batch"
                ) from None
            once = self._openai.with_options(max_retries=0)
            made = once.batches.create(
                input_file_id=uploaded.id,
                endpoint=_ENDPOINT,
                completion_window="24h",
                metadata={"cikg": tag},
            )
        return made.id

    def find(self, tag: str, since: float) -> str | None:
        """The id of the batch that was begun with a tag; None if there is none.

        Args:
            tag: as it was submitted with.
            since: the time, in seconds of the epoch, before which it was not.

        Raises:
            ServiceError: the provider does not answer.
        """
        with self._translated():
            for batch in self._openai.batches.list(limit=_PAGE):  # the newest first, page after page
                if (batch.metadata or {}).get("cikg") == tag:
                    return batch.id
                if batch.created_at < since - _CLOCKS_DIFFER:
                    break
        return None

    def look(self, identifier: str) -> Standing:
        """Where a batch stands. One that the provider does not know any more has failed.

        Raises:
            ServiceError: the provider does not answer.
        """
        with self._translated():
            try:
                batch = self._openai.batches.retrieve(identifier)
            except openai.NotFoundError:
                return Standing("failed", ended=True, answered=0, error="the provider no longer knows the batch")
        counts = batch.request_counts
        return Standing(
            batch.status,
            batch.status in ("completed", "failed", "expired", "cancelled"),
            counts.completed + counts.failed if counts else 0,
            _problem(batch) if batch.status == "failed" else None,
        )

    def replies(self, identifier: str) -> Iterator[Reply]:
        """What an ended batch gave back, in the order in which it comes.

        Raises:
            ServiceError: the provider does not answer.
        """
        with self._translated():
            batch = self._openai.batches.retrieve(identifier)
            for file in filter(None, (batch.output_file_id, batch.error_file_id)):
                with self._openai.files.with_streaming_response.content(file) as stream:
                    for line in _lines(stream.iter_bytes()):
                        found = reply(line, self.price)
                        if found is not None:
                            yield found

    def cancel(self, identifier: str) -> None:
        """Stop a batch; what was answered by then can be had soon. Harmless where it has ended.

        Raises:
            ServiceError: the provider does not answer.
        """
        with self._translated():
            try:
                self._openai.batches.cancel(identifier)
            except (openai.ConflictError, openai.BadRequestError):
                return

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (openai.OpenAIError, httpx2.HTTPError) as error:  # the latter where a stream breaks off
            raise named_error(error, f"the LLM at {self._address}", self._model) from None


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end with a newline: an answer may hold what the HTTP client would take for the end of one, too."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    yield rest


def _problem(batch: Batch) -> str:
    said = [problem.message for problem in (batch.errors.data or [] if batch.errors else []) if problem.message]
    return "; ".join(said[:3]).rstrip(".") or "the provider gives no reason"
