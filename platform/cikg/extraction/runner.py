"""Carries a run's shards: leases subjects, asks the LLM for many at once, commits in groups.

One `Runner` a process: one event loop, and in it one client a model, however many threads hand in shards. What a group
of answers found is committed while the next answers are on their way, whatever shards they belong to.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import structlog

from cikg.errors import AuthenticationError, CikgError, NotFoundError, ServiceError
from cikg.extraction import ledger
from cikg.extraction.asking import Asker, LaterError, StoppedError, Terms
from cikg.extraction.budget import Meter, SpentError
from cikg.extraction.grouping import Grouped
from cikg.extraction.job import Request, Subject, UnusableAnswerError, Work
from cikg.extraction.ledger import Run
from cikg.graph import Graph
from cikg.llm import completions
from cikg.llm.answers import AnswerError, Usage, read
from cikg.llm.traffic import Traffic
from cikg.metrics import Counts
from cikg.schema import State, uid
from cikg.settings import Settings

_log = structlog.stdlib.get_logger(__name__)

FAILURES_IN_A_ROW = 6
"""Subjects that fail one after the other, without a success between them, before the run is stopped."""


_PATIENCE = 10.0
"""Seconds that closing waits for what is under way to give its subjects back."""
_GATHERING = 0.02
"""Seconds in which subjects that end are gathered to be committed together, as long as others are being asked about."""
_UNSETTLED = 3
"""Subjects for each slot that may be asked about or wait for their commit. What a worker that is killed had been
answered and had not committed is asked for again, and paid for again: a slow Neo4j must not let it pile up."""
_READERS = 2
"""Shards that are leased and read at once: the first one's questions go out before the last one is read."""


@dataclass
class Breaker:
    """Stops a run whose LLM is down, instead of failing each of its subjects.

    A refused key or an unknown model stops it at once, since no subject could fare better.
    """

    failures: int = 0
    cause: CikgError | None = None

    def succeed(self) -> None:
        """An answer came."""
        self.failures = 0

    def fail(self, error: CikgError) -> None:
        """No answer came."""
        self.failures += 1
        if self.failures >= FAILURES_IN_A_ROW or isinstance(error, (AuthenticationError, NotFoundError)):
            self.cause = self.cause or error


@dataclass
class _Outcome:
    """What became of one subject, and the answers it got on the way."""

    run: Run
    row: dict[str, Any]
    answers: list[dict[str, Any]] = field(default_factory=list)

    def cite(self, completion: str) -> None:
        """Note the answer that came last."""
        self.row["completion"] = completion
        self.row["completions"].append(completion)


@dataclass(frozen=True)
class _Question:
    """A request, and the key of its answer."""

    request: Request
    key: str


@dataclass
class _Shard:
    """What is left of a shard, under way."""

    run: Run
    number: int
    left: int  # subjects that are leased and not yet closed
    asker: Asker
    breaker: Breaker
    terms: Terms = field(init=False)
    calls: int = 0
    stopped: bool = False  # from outside: by a person, or because another worker took the lease
    later: LaterError | None = None
    spent: SpentError | None = None
    texts: dict[str, str] = field(default_factory=dict)  # completion key -> validated answer
    failed: dict[str, str] = field(default_factory=dict)  # subject -> why nothing could be asked about it
    asking: dict[str, asyncio.Lock] = field(default_factory=dict)  # completion key -> held while it is asked for

    def wanted(self) -> bool:
        """Whether more should be asked."""
        return not (self.stopped or self.later or self.spent or self.breaker.cause)

    def ask(self, request: Request) -> _Question:
        """A request with its key."""
        return _Question(
            request, completions.key(self.run.model, self.run.job.parameters, request.prompt, request.schema)
        )


class Runner:
    """What one process needs to work on shards. Make it after a fork; it is safe to share between threads.

    Args:
        graph: the graph.
        settings: the LLM's address and limits.
    """

    def __init__(self, graph: Graph, settings: Settings) -> None:
        from cikg.llm import client  # noqa: F401, PLC0415 - it loads slowly, and a lease that waits for it may run out

        self.graph = graph
        self._settings = settings
        self._traffic = Traffic(settings)
        self._counts = Counts(settings.redis_url.get_secret_value() if settings.redis_url else None)
        self._askers: dict[str, Asker] = {}
        self._breakers: dict[tuple[str, int], Breaker] = {}  # of each opening of a run
        self._token = uuid.uuid4().hex  # every lease of this process is this one's, so that it commits them together
        self._unsettled = asyncio.Semaphore(_UNSETTLED * settings.llm_concurrency)
        self._asking = 0  # subjects that are being asked about
        self._commit: Grouped[_Outcome, None] = Grouped(self._write, lambda: self._asking > 0, _GATHERING)
        self._find: Grouped[tuple[str, str], str | None] = Grouped(self._look_up)
        self._reading = asyncio.Semaphore(_READERS)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runner", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is under way, close the clients and end the loop."""
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._counts.close()

    def work_shard(self, run: str, shard: int) -> None:
        """Do what is left of a shard. Harmless when nothing is, or when another worker holds it.

        Args:
            run: the run's uid.
            shard: the shard's number.

        Raises:
            NotFoundError: there is no such run.
            ServiceError: Neo4j failed; the subjects are taken up again when the lease has run out.
        """
        self._wait(self._work_shard(run, shard))

    def work_all(self, run: str, shards: Sequence[int]) -> None:
        """Do several shards at once, in this process, without a queue."""

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                for shard in shards:
                    group.create_task(self._work_shard(run, shard))

        self._wait(work())

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            future.result()
        except BaseException:
            future.cancel()
            raise

    async def _close(self) -> None:
        writing = self._commit.tasks  # what was answered is paid for, and kept
        tasks = asyncio.all_tasks() - {asyncio.current_task()} - writing
        for task in tasks:
            task.cancel()
        if tasks or writing:
            await asyncio.wait(tasks | writing, timeout=_PATIENCE)
        for asker in self._askers.values():
            await asker.close()
        await self._traffic.close()

    async def _work_shard(self, run_uid: str, shard: int) -> None:
        structlog.contextvars.bind_contextvars(run=run_uid, shard=shard)
        lease = partial(ledger.lease, self.graph, run_uid, shard, self._token, self._settings.lease_seconds)
        try:
            async with asyncio.timeout(self._settings.task_time_limit):
                more = True
                while more:  # all at once, and then one by one those that workers died of
                    async with AsyncExitStack() as turn:
                        await turn.enter_async_context(self._reading)
                        leased, more = await asyncio.to_thread(lease)
                        if leased:
                            await self._work_part(run_uid, shard, leased, turn)
        except TimeoutError:
            raise ServiceError(
                f"shard {shard} of {run_uid} took longer than {self._settings.task_time_limit:g} s",
                cure="Raise CIKG_TASK_TIME_LIMIT, or lower CIKG_LLM_TIMEOUT",
            ) from None
        except ExceptionGroup as group:
            raise _first(group) from group
        await asyncio.to_thread(ledger.finish, self.graph, run_uid)

    async def _work_part(self, run_uid: str, shard: int, leased: list[str], turn: AsyncExitStack) -> None:
        """Work on what was leased, and give back what is not wanted any more. The turn to read ends once it is read."""
        graph, began = self.graph, time.monotonic()
        run = await asyncio.to_thread(ledger.open_run, graph, run_uid)
        work = self._shard(run, shard, len(leased))
        try:
            await self._work_leased(work, leased, turn)
        finally:
            await self._stop(work)
            if work.left:
                forgiven = not work.wanted()
                await asyncio.to_thread(ledger.release, graph, run_uid, shard, self._token, forgiven=forgiven)
            await asyncio.to_thread(self._counts.flush, now=True)
            facts = {"closed": len(leased) - work.left, "left": work.left, "calls": work.calls}
            _log.info("a shard ended", job=run.job.name, seconds=round(time.monotonic() - began, 3), **facts)

    def _shard(self, run: Run, number: int, subjects: int) -> _Shard:
        """A leased shard, with what asking for it takes."""
        if run.model not in self._askers:
            self._askers[run.model] = Asker(self._settings, run.model, self._traffic)
        breaker = self._breakers.setdefault((run.uid, run.opening), Breaker())
        work = _Shard(run, number, subjects, self._askers[run.model], breaker)
        meter = Meter(
            run=f"{run.uid}/{run.allowance.id}" if run.allowance else run.uid,
            budget=run.allowance.budget if run.allowance else None,
            price=self._settings.llm_prices.get(run.model),
            spent=partial(asyncio.to_thread, ledger.spent, self.graph, run),
        )
        work.terms = Terms(run.job.parameters, work.wanted, meter)
        return work

    async def _stop(self, work: _Shard) -> None:
        """Tell the ledger why a shard was left half done: the LLM is down, the budget is spent, or it has to wait.

        Where the run was opened again meanwhile, that is no concern of what goes on now.
        """
        graph, run, opening = self.graph, work.run.uid, work.run.opening
        cause = work.breaker.cause or work.spent or work.later
        if cause is not None:
            _log.warning("the run stops", cause=str(cause))
        if work.breaker.cause is not None:
            self._breakers.pop((run, opening), None)
            await asyncio.to_thread(ledger.stop, graph, run, State.FAILED, str(work.breaker.cause), opening)
        elif work.spent is not None:
            await asyncio.to_thread(ledger.stop, graph, run, State.PAUSED, str(work.spent), opening)
        elif work.later is not None:
            later = work.later
            await asyncio.to_thread(ledger.postpone, graph, run, later.seconds, later.message, opening)

    async def _work_leased(self, work: _Shard, leased: list[str], turn: AsyncExitStack) -> None:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep(work))
            try:
                opened = await asyncio.to_thread(self._open, work, leased)
                await turn.aclose()
                async with asyncio.TaskGroup() as subjects:
                    for lost in sorted(set(leased) - {subject.id for subject, _, _ in opened}):
                        cause = work.failed.get(lost)
                        state = State.FAILED if cause else State.CANCELLED
                        row = _row(work.run, lost, state, cause or "it has no input any more")
                        subjects.create_task(self._end(work, _Outcome(work.run, row)))
                    for subject, conversation, question in opened:
                        subjects.create_task(self._settle(work, subject, conversation, question))
            finally:
                keeper.cancel()

    def _open(self, work: _Shard, leased: list[str]) -> list[tuple[Subject, Work, _Question]]:
        """Read what was leased: subjects that still have an input, with their conversations and first questions."""
        opened = []
        for subject in ledger.subjects(self.graph, work.run, leased):
            conversation = work.run.job.work(subject)
            try:
                opened.append((subject, conversation, work.ask(next(conversation))))
            except Exception as error:  # noqa: BLE001 - as in `_carry`
                _log.exception("a job failed about a subject", job=work.run.job.name, subject=subject.id)
                work.failed[subject.id] = f"{type(error).__name__}: {error}"
        work.texts = completions.find(self.graph, work.run.dataset, [question.key for _, _, question in opened])
        return opened

    async def _end(self, work: _Shard, outcome: _Outcome) -> None:
        """Commit what became of a subject."""
        await self._commit(outcome)
        work.left -= 1
        self._counts.ended(work.run.job.name, outcome.row["state"])
        if outcome.row["error"]:
            facts = {name: outcome.row[name] for name in ("uid", "state", "error", "calls")}
            _log.warning("a subject did not end well", job=work.run.job.name, **facts)

    async def _settle(self, work: _Shard, subject: Subject, conversation: Work, question: _Question) -> None:
        """Take a subject through its conversation in its turn, and commit what became of it."""
        async with self._unsettled:
            outcome = await self._carry(work, subject, conversation, question)
            if outcome is not None:
                await self._end(work, outcome)

    async def _carry(self, work: _Shard, subject: Subject, conversation: Work, question: _Question) -> _Outcome | None:
        """Take one subject through its conversation; what became of it, or None if it is to be given back."""
        self._asking += 1
        run, usage = work.run, Usage()
        row = _row(run, subject.id, State.DONE, input_hash=subject.input_hash)
        outcome = _Outcome(run, row)
        try:
            result = await self._converse(work, conversation, question, outcome, usage)
            found = run.job.apply(subject, result, run.dataset)
            row["found"] = {
                "subject": row["uid"],
                "target": uid(run.dataset, subject.id),
                "completion": row["completion"],
                **found,
            }
        except (StoppedError, LaterError, SpentError) as rest:
            work.later = work.later or (rest if isinstance(rest, LaterError) else None)
            work.spent = work.spent or (rest if isinstance(rest, SpentError) else None)
            await asyncio.to_thread(completions.store, self.graph, run.dataset, outcome.answers)  # they are paid for
            if usage.calls:
                await asyncio.to_thread(ledger.bill, self.graph, row["uid"], usage)
            return None
        except (AnswerError, UnusableAnswerError) as error:  # closing the subject marks the answer, however old
            row.update(state=State.QUARANTINED, error=str(error))
        except (ServiceError, NotFoundError) as error:
            work.breaker.fail(error)
            row.update(state=State.FAILED, error=str(error))
        except Exception as error:  # noqa: BLE001 - what nobody foresaw about one subject costs no other
            _log.exception("a job failed about a subject", job=run.job.name, uid=row["uid"])
            row.update(state=State.FAILED, error=f"{type(error).__name__}: {error}")
        finally:
            self._asking -= 1
        row.update(calls=usage.calls, cost=usage.cost)
        row.update(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
        return outcome

    async def _converse(
        self, work: _Shard, conversation: Work, question: _Question, outcome: _Outcome, usage: Usage
    ) -> Any:
        """Put each request of a subject's conversation to the LLM; what the conversation returns in the end."""
        while True:
            answer = await self._answer(work, question, outcome, usage)
            outcome.cite(uid(work.run.dataset, question.key))
            try:
                question = work.ask(conversation.send(answer))
            except StopIteration as end:
                return end.value
            kept = await self._find((work.run.dataset, question.key))  # a shard's first questions are looked up at once
            if kept is not None:
                work.texts[question.key] = kept

    async def _answer(self, work: _Shard, question: _Question, outcome: _Outcome, total: Usage) -> Any:
        """The answer to a request: the one kept from before, one that is just being asked for, or a new one."""
        request, key = question.request, question.key
        async with work.asking.setdefault(key, asyncio.Lock()):
            if key in work.texts:
                return read(request.schema, work.texts[key])
            context = (work.run.dataset, work.run.uid, key, request.prompt)
            usage = Usage()
            try:
                answer = await work.asker.ask(request, work.terms, usage)
            except AnswerError as error:  # it is kept to be looked at, and not to be used again
                work.breaker.succeed()
                kept = completions.row(*context, model=work.run.model, text=error.text, usage=usage)
                kept["properties"].update(status=State.QUARANTINED, error=str(error))
                outcome.answers.append(kept)
                outcome.cite(kept["uid"])
                raise
            finally:
                total.add(usage)
                work.calls += usage.calls
                self._counts.asked(work.run.job.name, work.run.model, usage)
            work.breaker.succeed()
            work.texts[key] = answer.text
            outcome.answers.append(completions.row(*context, model=answer.model, text=answer.text, usage=usage))
            return answer.parsed

    def _write(self, outcomes: list[_Outcome]) -> list[None]:
        """Commit what became of subjects: answers first, which are paid for, then what was found with how it ended."""
        for run in {outcome.run.uid: outcome.run for outcome in outcomes}.values():
            own = [outcome for outcome in outcomes if outcome.run.uid == run.uid]
            completions.store(self.graph, run.dataset, [answer for outcome in own for answer in outcome.answers])
            ledger.commit(self.graph, run, self._token, [outcome.row for outcome in own])
        self._counts.flush()
        return [None] * len(outcomes)

    def _look_up(self, asked: list[tuple[str, str]]) -> list[str | None]:
        """The kept answers to questions, as (dataset, key); None where there is none."""
        found: dict[tuple[str, str], str] = {}
        for dataset in {dataset for dataset, _ in asked}:
            texts = completions.find(self.graph, dataset, [key for name, key in asked if name == dataset])
            found.update({(dataset, key): text for key, text in texts.items()})
        return [found.get(each) for each in asked]

    async def _keep(self, work: _Shard) -> None:
        """Renew the leases, and notice when the run is stopped from outside."""
        seconds = self._settings.lease_seconds
        while not work.stopped:
            await asyncio.sleep(seconds / 5)
            wanted = await asyncio.to_thread(ledger.renew, self.graph, work.run.uid, work.number, self._token, seconds)
            work.stopped = not wanted


def _row(
    run: Run, identifier: str, state: State, error: str | None = None, input_hash: str | None = None
) -> dict[str, Any]:
    """How a subject ends, as `ledger.commit` takes it."""
    return {
        "uid": f"{run.uid}/{identifier}",
        "state": state,
        "error": error,
        "input_hash": input_hash,
        "completion": None,
        "completions": [],
        "calls": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "cost": 0.0,
        "found": None,
    }


def _first(group: BaseException) -> BaseException:
    """The first single error of a group: callers retry by its kind."""
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
