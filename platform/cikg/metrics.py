"""What LLM jobs do, in numbers for Prometheus: counted by every worker, added up in Redis, read by whoever is asked.

Redis adds up over processes and machines. Emptying it starts the counters again, which Prometheus knows how to read;
what has to last stands in the ledger. Counting never stops work: while Redis is away, a worker keeps its counts.
"""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from cikg.errors import CikgError
from cikg.graph import Graph
from cikg.llm.answers import Usage

KEY = "cikg:metrics"
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of the histogram of latencies, in seconds."""
QUEUES = ("llm", "graph", "training")
"""As `extraction.queue` names them."""
_FLUSH_SECONDS = 1.0
_PATIENCE = 1.0
"""Seconds that Redis may take: counting is not worth more."""
_LATENCY = "cikg_llm_latency_seconds"
_COUNTERS = {
    "cikg_llm_calls": ("Requests sent to the LLM", ("job", "model")),
    "cikg_llm_retries": ("Requests that repeated or repaired one", ("job", "model")),
    "cikg_llm_tokens": ("Tokens sent (prompt) and received (completion)", ("job", "model", "kind")),
    "cikg_llm_cost": ("Money spent, where the model has a price", ("job", "model")),
    "cikg_subjects": ("Subjects that ended, by how", ("job", "state")),
}


class Counts:
    """The counts of one process since they were last sent to Redis. Safe to share between threads.

    Args:
        redis_url: where to send them; None for nowhere.
    """

    def __init__(self, redis_url: str | None) -> None:
        self._redis = (
            None
            if redis_url is None
            else redis.Redis.from_url(redis_url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE)
        )
        self._lock = threading.Lock()
        self._counts: defaultdict[tuple[str, ...], float] = defaultdict(float)
        self._sent_at = 0.0

    def asked(self, job: str, model: str, usage: Usage) -> None:
        """Count one question that was put to a model, and what it cost with its repetitions."""
        if not usage.calls:
            return
        with self._lock:
            self._counts[("cikg_llm_calls", job, model)] += usage.calls
            self._counts[("cikg_llm_retries", job, model)] += usage.calls - 1
            self._counts[("cikg_llm_tokens", job, model, "prompt")] += usage.prompt_tokens
            self._counts[("cikg_llm_tokens", job, model, "completion")] += usage.completion_tokens
            self._counts[("cikg_llm_cost", job, model)] += usage.cost
            self._counts[(_LATENCY, job, model, str(bisect_left(BUCKETS, usage.latency)))] += 1
            self._counts[(_LATENCY, job, model, "sum")] += usage.latency

    def ended(self, job: str, state: str) -> None:
        """Count a subject that ended."""
        with self._lock:
            self._counts[("cikg_subjects", job, state)] += 1

    def flush(self, *, now: bool = False) -> None:
        """Send the counts to Redis, at most once a second unless it has to be now. What cannot be sent is kept."""
        if self._redis is None or (not now and time.monotonic() - self._sent_at < _FLUSH_SECONDS):
            return
        with self._lock:
            if not self._counts:
                return
            counts, self._counts = self._counts, defaultdict(float)
            self._sent_at = time.monotonic()
        try:
            with self._redis.pipeline(transaction=True) as pipe:
                for field, count in counts.items():
                    pipe.hincrbyfloat(KEY, json.dumps(field, ensure_ascii=False), count)
                pipe.execute()
        except (redis.RedisError, OSError):
            with self._lock:
                for field, count in counts.items():
                    self._counts[field] += count

    def close(self) -> None:
        """Send what is left, and close the connection."""
        self.flush(now=True)
        if self._redis is not None:
            self._redis.close()


def exposition(graph: Graph | None, redis_url: str | None) -> bytes:
    """Everything in Prometheus' text format. What cannot be reached is left out, and `cikg_up` says so.

    Args:
        graph: the ledger; None where there is no connection to it.
        redis_url: where counts and queues are; None for nowhere.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shared(graph, redis_url))
    return generate_latest(registry)


class _Shared(Collector):
    """What all processes share."""

    def __init__(self, graph: Graph | None, redis_url: str | None) -> None:
        self._graph, self._url = graph, redis_url

    @override
    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("cikg_up", "Whether a component answers", labels=("component",))
        for component, measured in (("redis", self._from_redis()), ("neo4j", self._from_graph())):
            found = list(measured)
            up.add_metric([component], float(bool(found)))
            yield from found
        yield up

    def _from_redis(self) -> Iterator[Metric]:
        if self._url is None:
            return
        with (
            suppress(redis.RedisError, OSError),
            redis.Redis.from_url(self._url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE) as server,
        ):
            counts = {tuple(json.loads(field)): float(value) for field, value in server.hgetall(KEY).items()}
            depths = {queue: float(server.llen(queue)) for queue in QUEUES}
            yield from _counted(counts)
            depth = GaugeMetricFamily("cikg_queue_depth", "Messages that wait for a worker", labels=("queue",))
            for queue, waiting in depths.items():
                depth.add_metric([queue], waiting)
            yield depth

    def _from_graph(self) -> Iterator[Metric]:
        if self._graph is None:
            return
        with suppress(CikgError):
            rows = self._graph.many("open_subjects")
            labels = ("dataset", "job", "state")
            subjects = GaugeMetricFamily("cikg_open_subjects", "Subjects of runs that go on", labels=labels)
            for row in rows:
                subjects.add_metric([row["dataset"], row["job"], row["state"]], row["subjects"])
            yield subjects


def _counted(counts: dict[tuple[str, ...], float]) -> Iterator[Metric]:
    for name, (help_text, labels) in _COUNTERS.items():
        family = CounterMetricFamily(name, help_text, labels=labels)
        for (counted, *values), count in sorted(counts.items()):
            if counted == name:
                family.add_metric(values, count)
        yield family
    histogram = HistogramMetricFamily(_LATENCY, "Time to the usable answer of a question", labels=("job", "model"))
    for job, model in sorted({key[1:3] for key in counts if key[0] == _LATENCY}):
        below, buckets = 0.0, []
        for number, bound in enumerate([*map(str, BUCKETS), "+Inf"]):
            below += counts.get((_LATENCY, job, model, str(number)), 0.0)
            buckets.append((bound, below))
        histogram.add_metric([job, model], buckets, counts.get((_LATENCY, job, model, "sum"), 0.0))
    yield histogram
