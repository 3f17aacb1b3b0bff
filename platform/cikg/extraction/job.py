"""What an LLM job is: pure functions that the ledger and the runner carry. A file of `jobs` defines one as `JOB`.

`plan` turns what the graph holds into subjects, `work` is a generator that yields requests and receives answers,
`apply` turns what it returns into rows. None of them does I/O, so that a job can be tested, replayed and estimated
anywhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from cikg.digests import digest
from cikg.errors import NotFoundError
from cikg.extraction import jobs
from cikg.graph import Graph
from cikg.llm.prompts import Prompt, template
from cikg.schema import Label


@dataclass(frozen=True, slots=True)
class Subject:
    """One unit of a job's work.

    Attributes:
        id: the id of the node that it is about.
        input: everything that the answer depends on, as JSON values.
    """

    id: str
    input: Mapping[str, Any]

    @property
    def input_hash(self) -> str:
        """Changes exactly when the subject has to be done again."""
        return digest(self.input)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the LLM, and the shape of its answer."""

    prompt: Prompt
    schema: type[BaseModel]


Work = Generator[Request, Any, Any]
"""Yields requests, receives each one's validated answer, returns what `apply` takes."""


class UnusableAnswerError(ValueError):
    """An answer follows its schema and still says nothing that can be used: the subject is quarantined."""


@dataclass(frozen=True)
class Job:
    """An LLM job.

    Attributes:
        name: what the person types after `cikg extract`; the file's name.
        help: one sentence about what it finds.
        about: the label of the nodes that its subjects are about. A subject about the dataset as a whole has an id of
            its own.
        prompts: its templates; their names, versions and digests are part of the run's id.
        ids: the ids of all subjects it could have, in the order in which they are taken.
        read: the graph's data about some of them.
        plan: (data, what the dataset's items are called) -> subjects.
        work: the conversation about one subject.
        apply: (subject, what `work` returned, dataset) -> the part of a row that the job finds itself.
        write: the statement that takes `$rows` of {subject, target, completion, …}, where `target` is the uid of the
            node that the subject is about, and replaces what the job found before.
        clear: removes, before a run is started, what the job found that the data shows no longer.
        parameters: sampling parameters sent with every request.
        questions: what a conversation has, as a rule; like the next, for estimates before the first answers.
        answer_tokens: tokens of an answer, as a rule.
    """

    name: str
    help: str
    about: Label
    prompts: tuple[str, ...]
    ids: Callable[[Graph, str], list[str]]
    read: Callable[[Graph, str, Sequence[str]], Iterator[Any]]
    plan: Callable[[Iterable[Any], str], Iterator[Subject]]
    work: Callable[[Subject], Work]
    apply: Callable[[Subject, Any, str], dict[str, Any]]
    write: str
    clear: Callable[[Graph, str], None] | None = None
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"temperature": 0})
    questions: float = 1.0
    answer_tokens: int = 60


def ask_once(prompt: str, schema: type[BaseModel]) -> Callable[[Subject], Work]:
    """Conversations of one question: what the prompt declares is taken from the subject's input."""

    def work(subject: Subject) -> Work:
        asked = template(prompt)
        answer = yield Request(asked.render(**{name: subject.input[name] for name in asked.inputs}), schema)
        return answer

    return work


def names() -> list[str]:
    """The names of all jobs."""
    modules = (module.name for module in pkgutil.iter_modules(jobs.__path__))
    return sorted(name for name in modules if hasattr(_module(name), "JOB"))


def job(name: str) -> Job:
    """The job called `name`.

    Raises:
        NotFoundError: there is none; names those that exist.
    """
    files = {module.name for module in pkgutil.iter_modules(jobs.__path__)}
    found: Job | None = getattr(_module(name), "JOB", None) if name in files else None
    if found is None:
        raise NotFoundError(f"there is no job named {name!r}", cure=f"The jobs are: {', '.join(names())}")
    return found


def _module(name: str) -> Any:
    return importlib.import_module(f"cikg.extraction.jobs.{name}")
