"""Sends a run's questions in batches, and takes in what comes back: it costs about half, and up to a day.

While a run's questions are with the provider, workers are not given its subjects. `advance` does what can be done now,
whoever calls it: the command that waits, or any worker's sweeper. Every batch stands in the graph before it is sent,
under a name that the provider is told, so that nothing is sent twice whenever a process is killed.

What comes back is validated as a direct answer is, and kept as a completion. Then comes the conversations' next turn,
in a batch of its own. A small rest, such as answers that cannot be used, is left to the workers, who ask directly and
find all other answers there.
"""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from cikg.errors import CikgError, NotFoundError
from cikg.extraction import ledger
from cikg.extraction.budget import metered
from cikg.extraction.job import Request, Subject
from cikg.extraction.ledger import Run
from cikg.extraction.tokens import FIRST_GUESS, prompt_tokens
from cikg.graph import Graph
from cikg.llm import completions
from cikg.llm.answers import Usage, first_problem, read
from cikg.llm.provider import lacks
from cikg.schema import State, uid
from cikg.settings import Settings

if TYPE_CHECKING:
    from cikg.llm.batches import Batches, Reply

_log = structlog.stdlib.get_logger(__name__)

SUBMIT, COLLECT = "submit", "collect"
"""What a run's `batch` says: send what is open in batches, or only take what comes of those that were sent."""

REST, FEW = 0.05, 20
"""What is still open after a batch is asked directly up to this share of the first questions, or this many."""
MOST_ROUNDS = 8
"""Batches one after the other before a person has to look: conversations have fewer turns."""

_PAGE = 500
"""Subjects read, and answers written, at a time."""
_LEASE = 20
"""A process has a run's batches in charge for so many times `lease_seconds`: files take long to send."""


@dataclass(frozen=True)
class Sent:
    """Where a run's batches stand.

    Attributes:
        waiting: whether the provider has some of them.
        batches: how many it has.
        questions: how many are in those.
        answered: how many of these it has answered, as far as it says.
    """

    waiting: bool
    batches: int = 0
    questions: int = 0
    answered: int = 0


def listed(graph: Graph, run: str) -> list[dict[str, Any]]:
    """The batches of a run, the oldest first, as the graph knows them."""
    return graph.many("run_batches", run=run)


def advance(graph: Graph, settings: Settings, run: str) -> Sent:
    """Do what can be done now about a run's batches: look, take in what ended, send what is open. Safe to repeat.

    Args:
        graph: the graph.
        settings: the LLM's address and limits.
        run: the run's uid.

    Returns:
        Where they stand. Once nothing waits, the run is the workers' or has been stopped.

    Raises:
        ServiceError: the provider does not answer; the next call goes on.
    """
    token = uuid.uuid4().hex
    term = int(_LEASE * settings.lease_seconds * 1000)
    claimed = graph.write("claim_batching", run=run, lease=token, milliseconds=term)
    if not claimed:
        return _sent(graph, run)
    opened = ledger.open_run(graph, run)
    try:
        with closing(_provider(settings, opened.model)) as provider:
            return _Round(graph, provider, opened, claimed[0]["batch"], token, term).carry_on()
    except _LostError:
        return _sent(graph, run)
    finally:
        graph.write("release_batching", run=run, lease=token)


def _provider(settings: Settings, model: str) -> Batches:
    """The model's batches. OpenAI's client loads slowly, and most who ask after runs send none."""
    from cikg.llm.batches import Batches  # noqa: PLC0415

    return Batches(settings, model)


def tend(graph: Graph, settings: Settings) -> None:
    """Advance every run that is waiting for batches, but for those whose model the LLM of the settings has not.

    Raises:
        Exception: one of them could not be; the others were.
    """
    failed: list[Exception] = []
    for row in graph.many("batching_runs"):
        try:
            if not lacks(settings, ledger.open_run(graph, row["run"]).model):
                advance(graph, settings, row["run"])
        except CikgError as error:
            failed.append(error)
        except Exception as error:  # noqa: BLE001 - one run's trouble is not another's
            _log.exception("the batches of a run cannot be followed", run=row["run"])
            failed.append(error)
    if failed:
        raise min(failed, key=lambda error: isinstance(error, CikgError))  # what nobody foresaw is told first


def cancel(graph: Graph, settings: Settings, run: str) -> int:
    """Have the provider stop a run's batches; how many it had. What it answered by then is taken in if the run goes on.

    Raises:
        ServiceError: the provider does not answer.
    """
    known = [batch for batch in listed(graph, run) if batch["state"] in ("submitting", "open")]
    if not known:
        return 0
    with closing(_provider(settings, ledger.open_run(graph, run).model)) as provider:
        there = list(filter(None, (_identifier(provider, batch) for batch in known)))
        for identifier in there:
            provider.cancel(identifier)
    return len(there)


def _identifier(provider: Batches, batch: dict[str, Any]) -> str | None:
    """The provider's id of a batch; None while it is being sent, and then who sends it cancels it."""
    if batch["batch"]:
        return str(batch["batch"])
    with suppress(NotFoundError):  # it offers no batches
        return provider.find(batch["id"], batch["created"])
    return None


def _sent(graph: Graph, run: str, answered: int = 0) -> Sent:
    known = [batch for batch in listed(graph, run) if batch["state"] in ("submitting", "open")]
    waiting = any(row["run"] == run for row in graph.many("batching_runs"))
    return Sent(waiting, len(known), sum(batch["questions"] for batch in known), answered)


class _LostError(Exception):
    """The run was stopped, or another process took it in charge since this one seemed dead."""


@dataclass(frozen=True, slots=True)
class _Open:
    """A question that has no answer yet."""

    subject: Subject
    request: Request
    key: str


@dataclass
class _Round:
    """One look at a run's batches, by the process that has them in charge."""

    graph: Graph
    provider: Batches
    run: Run
    mode: str
    token: str
    term: int  # milliseconds
    answered: int = 0

    def carry_on(self) -> Sent:
        """Take in what ended; once all has, send what is open, or leave the run to the workers."""
        awaited = [self._awaited(batch) for batch in listed(self.graph, self.run.uid)]
        if any(awaited):
            return _sent(self.graph, self.run.uid, self.answered)
        if self.mode == SUBMIT and self._submit():
            return _sent(self.graph, self.run.uid)
        self.graph.write("end_batching", run=self.run.uid)
        return _sent(self.graph, self.run.uid)

    def _awaited(self, batch: dict[str, Any]) -> bool:
        """Whether a batch is still with the provider; one that has ended is taken in."""
        if batch["state"] == "submitting":  # whoever was sending it did not live to hear the answer
            found = self.provider.find(batch["id"], batch["created"])
            if found is None:
                self.graph.write("forget_batch", batch=batch["uid"])
                return False
            self.graph.write("note_batch", batch=batch["uid"], id=found)
            batch = {**batch, "state": "open", "batch": found}
        if batch["state"] != "open":
            return False
        stands = self.provider.look(batch["batch"])
        self.answered += stands.answered
        if stands.ended:
            causes = Counter() if stands.error else self._collect(batch)
            said = [stands.error] if stands.error else [f"{count} × {cause}" for cause, count in causes.most_common(3)]
            self.graph.write("end_batch", batch=batch["uid"], error="; ".join(said) or None)
        return not stands.ended

    def _collect(self, batch: dict[str, Any]) -> Counter[str]:
        """Keep what a batch gave back; why the rest of it is of no use."""
        replies: dict[str, Reply] = {}
        for each in self.provider.replies(batch["batch"]):
            replies.setdefault(each.id, each)
        causes: Counter[str] = Counter()
        missing = batch["questions"] - len(replies)
        if missing > 0:
            causes["it came back in no file"] = missing
        for page in self._open():
            rows = {}
            for question in page:
                reply = replies.pop(question.key, None)
                if reply is None:
                    continue
                row, problem = self._row(question, reply, batch["uid"])
                if problem:
                    causes[problem] += 1
                if row is not None:
                    rows[question.key] = row
            ordered = sorted(rows.values(), key=lambda row: str(row["uid"]))
            self.graph.write("collect_answers", dataset=self.run.dataset, batch=batch["uid"], rows=ordered)
        return causes

    def _row(self, question: _Open, reply: Reply, batch: str) -> tuple[dict[str, Any] | None, str | None]:
        """A reply as `collect_answers` takes it, and what is wrong with it; no row where nothing was answered."""
        problem = reply.error
        if problem is None:
            try:
                read(question.request.schema, reply.text)
            except ValidationError as error:
                name = question.request.schema.__name__
                problem = f"the answer does not follow the schema {name}: {first_problem(error)}"
        if not reply.usage.calls:
            return None, problem
        row = completions.row(
            self.run.dataset,
            self.run.uid,
            question.key,
            question.request.prompt,
            model=reply.model,
            text=reply.text,
            usage=reply.usage,
        )
        row["subject"] = f"{self.run.uid}/{question.subject.id}"
        row["properties"] |= {"latency": None, "batch": batch}  # how long it took says nothing about direct answers
        if problem:
            row["properties"] |= {"status": str(State.QUARANTINED), "error": problem}
        return row, problem

    def _submit(self) -> bool:
        """Send what is open in as many batches as it takes; whether anything was sent, or the run was stopped."""
        from cikg.llm import batches  # noqa: PLC0415 - see `_provider`

        earlier = [batch for batch in listed(self.graph, self.run.uid) if batch["state"] == "collected"]
        rounds = max((batch["round"] for batch in earlier), default=0)
        with tempfile.TemporaryDirectory(prefix="cikg-batch-") as folder:
            purse = _Purse.of(self.graph, self.run, self.provider)
            written = list(batches.files(self._lines(purse), Path(folder)))
            count = sum(questions for _, questions in written)
            first = sum(batch["questions"] for batch in earlier if batch["round"] == 1)
            if rounds and count <= max(FEW, REST * first) and not purse.empty:
                return False
            if count and rounds:
                answered = sum(batch["answered"] for batch in earlier if batch["round"] == rounds)
                causes = "; ".join(filter(None, (batch["error"] for batch in earlier if batch["round"] == rounds)))
                if not answered or rounds >= MOST_ROUNDS:
                    return self._stop(State.FAILED, f"the batches left {count} questions open: {causes or 'no cause'}")
            if not count and purse.empty:
                return self._stop(State.PAUSED, f"the budget of {purse.budget} is spent")
            for file, questions in written:
                self._send(file, questions, rounds + 1)
        return bool(count)

    def _stop(self, state: State, cause: str) -> bool:
        self.graph.write("close_batches", run=self.run.uid)
        ledger.stop(self.graph, self.run.uid, state, cause, self.run.opening)
        return True

    def _send(self, file: Path, questions: int, number: int) -> None:
        name = f"batch-{uuid.uuid4().hex}"
        node = {"dataset": self.run.dataset, "id": name, "name": self.run.job.name, "of": self.run.uid}
        batch = uid(self.run.dataset, name)
        self._keep()
        self.graph.write("begin_batch", batch=batch, properties={**node, "questions": questions, "round": number})
        sent = self.provider.submit(file, name)
        noted = self.graph.write("note_batch", batch=batch, id=sent)
        if not noted or noted[0]["state"] == State.CANCELLED:  # while it was sent, which takes long
            self.provider.cancel(sent)
            raise _LostError

    def _keep(self) -> None:
        """Stay in charge of the run's batches.

        Raises:
            _LostError: the run does not want them any more, or another process has them in charge.
        """
        if not self.graph.write("claim_batching", run=self.run.uid, lease=self.token, milliseconds=self.term):
            raise _LostError

    def _lines(self, purse: _Purse) -> Iterator[bytes]:
        """The lines of all open questions that can be paid, each question once."""
        from cikg.llm import batches  # noqa: PLC0415 - see `_provider`

        seen: set[str] = set()
        parameters = self.run.job.parameters
        for page in self._open():
            for question in page:
                if question.key in seen:
                    continue
                prompt, schema = question.request.prompt, question.request.schema
                if not purse.take(prompt_tokens(prompt)):
                    return
                seen.add(question.key)
                yield batches.question(question.key, self.run.model, prompt, schema, parameters)

    def _open(self) -> Iterator[list[_Open]]:
        """The open questions of planned subjects, some at a time: of each conversation the first without an answer."""
        planned = [row["id"] for row in self.graph.many("planned_subjects", run=self.run.uid)]
        for start in range(0, len(planned), _PAGE):
            self._keep()
            subjects = ledger.subjects(self.graph, self.run, planned[start : start + _PAGE])
            yield list(self._first_open(subjects))

    def _first_open(self, subjects: list[Subject]) -> Iterator[_Open]:
        talks = [(subject, talk, next(talk)) for subject in subjects for talk in [self.run.job.work(subject)]]
        while talks:
            keyed = [(subject, talk, request, self._key(request)) for subject, talk, request in talks]
            texts = completions.find(self.graph, self.run.dataset, [key for *_, key in keyed])
            talks = []
            for subject, talk, request, key in keyed:
                if key not in texts:
                    yield _Open(subject, request, key)
                    continue
                with suppress(Exception):  # it has asked all, or a worker meets the same and says what is wrong
                    talks.append((subject, talk, talk.send(read(request.schema, texts[key]))))

    def _key(self, request: Request) -> str:
        return completions.key(self.run.model, self.run.job.parameters, request.prompt, request.schema)


@dataclass
class _Purse:
    """What of a run's budget is left for questions, at what they are expected to cost.

    Attributes:
        budget: in words.
        left: in the budget's unit; None without one.
        received: tokens expected of an answer.
        empty: whether a question could not be paid.
    """

    run: Run
    provider: Batches
    left: float | None
    received: float
    empty: bool = field(default=False)

    @classmethod
    def of(cls, graph: Graph, run: Run, provider: Batches) -> _Purse:
        """What a run has."""
        mean = graph.one("completion_size", dataset=run.dataset, prompt=run.job.prompts[0])["tokens"] or FIRST_GUESS
        left = None if run.allowance is None else run.allowance.budget.limit - ledger.spent(graph, run)
        return cls(run, provider, left, mean)

    @property
    def budget(self) -> str:
        return str(self.run.allowance.budget) if self.run.allowance else ""

    def take(self, tokens: int) -> bool:
        """Pay for a question of so many tokens, if there is that much."""
        if self.left is None or self.run.allowance is None:
            return True
        price = self.provider.price
        cost = price.cost(tokens, self.received, batch=True) if price else 0.0
        question = asdict(Usage(1, tokens, round(self.received), cost=cost))
        amount = metered(self.run.allowance.budget.unit, question)
        if amount > self.left:
            self.empty = True
            return False
        self.left -= amount
        return True
