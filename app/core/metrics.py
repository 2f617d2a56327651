"""The metrics of one process, in the text format of Prometheus.

Every process reports its own: its counters carry the label `process`, so that several processes behind one address
do not look like one counter that jumps. Add them up in the query: `sum without (process) (...)`.
"""

import contextlib
import json
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, ProcessCollector, generate_latest
from prometheus_client.registry import Collector

from app.db.engine import Database
from app.domain.errors import UnavailableError
from app.domain.states import LIVE
from app.live.outcomes import ApplyAtOnce, Partly

SHARED: Final = "jobtrack_queue_"
"""Metrics that come from the database: the same for every process, so they have no such label."""

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
PAUSES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
MAX_QUEUES = 100
"""More queues than this share the label `other`: names are chosen by clients, and each one is a series for ever."""

MAX_NAME_BYTES = 50_000
"""As much of `/metrics` as the names of queues may take, each of which stands in a line for each state."""

Depths = Mapping[tuple[str, str], int]
"""How many live jobs there are, by queue and state."""

Request = TypeVar("Request")
Result = TypeVar("Result")


class Metrics:
    """The instruments of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._events = Counter(
            "jobtrack_job_events",
            "What happened to jobs by this process, after the commit.",
            ["event"],
            registry=registry,
        )
        self._stale = Counter(
            "jobtrack_stale_calls",
            "Workers' calls that the fence refused: another attempt holds the job, it was given back, or has no place.",
            ["operation"],
            registry=registry,
        )
        self._busy = Counter(
            "jobtrack_busy_skips",
            "Jobs that background and bulk work left out, because another transaction had locked them.",
            ["work"],
            registry=registry,
        )
        self._batches = Histogram(
            "jobtrack_group_commit_batch_size",
            "Calls that are written together; one that is tried again counts again.",
            ["writer"],
            buckets=BATCHES,
            registry=registry,
        )
        self._sweep = Histogram(
            "jobtrack_sweep_duration_seconds",
            "How long the look at all that is watched took, once a second.",
            buckets=FAST,
            registry=registry,
        )
        self._late = Counter(
            "jobtrack_late_wakeups", "Waits that the sweep had to wake, for no notification came.", registry=registry
        )
        self._wakes = Histogram(
            "jobtrack_wake_latency_seconds",
            "From the news of a change (announced here, heard of, found by the sweep) until the wait it ends has its "
            "states. How long a change lay before the sweep found it is not in it: up to a second.",
            ["source"],
            buckets=FAST,
            registry=registry,
        )
        pauses = Histogram(
            "jobtrack_gc_pause_seconds",
            "How long the garbage collector held up everything else, by the oldest generation that it walked.",
            ["generation"],
            buckets=PAUSES,
            registry=registry,
        )
        # All of them from the start, so that a rate is right from the first pause on.
        self._pauses = [pauses.labels(str(generation)) for generation in range(3)]
        self._statements = Counter(
            "jobtrack_db_statements", "Statements sent to the database, without BEGIN and COMMIT.", registry=registry
        )
        self._connection_waits = Histogram(
            "jobtrack_db_connection_wait_seconds",
            "How long units of work waited for a connection of the database, or until they gave up. `work`: gathered "
            "is for all callers together, short is claims, slow is lists and changes of one request. `share`: over is "
            "a unit of a project that had its share of connections already.",
            ["work", "share"],
            buckets=FAST,
            registry=registry,
        )
        self._placeholders = Counter(
            "jobtrack_dialect_placeholder_answers",
            "Answers with something in place of what Jobtrack does not have.",
            ["dialect"],
            registry=registry,
        )
        self.queue_depths: Callable[[], Awaitable[Depths]] | None = None
        """Where the depths of the queues come from, from a memory of some seconds; nothing is shown without."""
        ProcessCollector(registry=registry)
        self._gauges: dict[str, Callable[[], float]] = {}

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Register a gauge that is read when the metrics are."""
        Gauge(f"jobtrack_{name}", documentation, registry=self.registry).set_function(read)
        self._gauges[name] = read

    def read(self, name: str) -> float | None:
        """Return what a gauge shows now; None where there is no such gauge, or where it cannot know."""
        value = self._gauges[name]() if name in self._gauges else math.nan
        return None if math.isnan(value) else value

    def count_events(self, counts: Mapping[str, int]) -> None:
        """Count what happened to the jobs of a batch, by event type."""
        for event_type, count in counts.items():
            self._events.labels(event_type).inc(count)

    def count_stale(self, operation: str) -> None:
        """Count a call that the fence refused."""
        self._stale.labels(operation).inc()

    def count_busy(self, work: str, jobs: int) -> None:
        """Count jobs that were locked by another transaction."""
        self._busy.labels(work).inc(jobs)

    def count_statement(self, _: object) -> None:
        """Count a statement."""
        self._statements.inc()

    def observe_connection_wait(self, work: str, within_share: bool, seconds: float) -> None:
        """Record how long a unit of work waited for a connection."""
        self._connection_waits.labels(work, "within" if within_share else "over").observe(seconds)

    def count_placeholder(self, dialect: str) -> None:
        """Count an answer of a dialect that holds less than the vendor's would."""
        self._placeholders.labels(dialect).inc()

    def observe_sweep(self, seconds: float, late: int) -> None:
        """Record how long a sweep took and how many waits it had to wake."""
        self._sweep.observe(seconds)
        self._late.inc(late)

    def observe_wake(self, source: str, seconds: float) -> None:
        """Record the delay between a change and the answer of a wait for it."""
        self._wakes.labels(source).observe(seconds)

    def observe_pause(self, generation: int, seconds: float) -> None:
        """Record how long the garbage collector stopped the process."""
        self._pauses[generation].observe(seconds)

    def measured(self, writer: str, at_once: ApplyAtOnce[Request, Result]) -> ApplyAtOnce[Request, Result]:
        """Record the size of every batch that a group writer begins with."""
        sizes = self._batches.labels(writer)

        async def measured(database: Database, requests: Sequence[Request]) -> Partly[Result]:
            sizes.observe(len(requests))
            return await at_once(database, requests)

        return measured

    async def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        depths: Depths = {}
        if self.queue_depths is not None:
            # The other metrics matter most during an outage, so they do not wait for the database.
            with contextlib.suppress(UnavailableError):
                depths = await self.queue_depths()
        note = f"# Process {os.getpid()} of perhaps several, for itself; {SHARED}* alone are the same from all.\n"
        return note.encode() + generate_latest(_OfProcess(self.registry, _depths(depths)))


class _OfProcess(Collector):
    """The registry with the process as a label, and without the creation times of series."""

    def __init__(self, registry: CollectorRegistry, shared: Metric) -> None:
        self._registry = registry
        self._shared = shared

    def collect(self) -> Iterable[Metric]:
        process = str(os.getpid())
        for metric in self._registry.collect():
            metric.samples = [
                sample._replace(labels={**sample.labels, "process": process})
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ]
            yield metric
        if self._shared.samples:
            yield self._shared


def _depths(depths: Depths) -> Metric:
    """Return the largest queues by name, and the rest as one."""
    totals: dict[str, int] = {}
    for (queue, _), count in depths.items():
        totals[queue] = totals.get(queue, 0) + count
    named: set[str] = set()
    size = 0
    for queue in sorted(totals, key=lambda queue: (-totals[queue], queue))[:MAX_QUEUES]:
        size += len(LIVE) * len(json.dumps(queue, ensure_ascii=False).encode())
        if size > MAX_NAME_BYTES:
            break
        named.add(queue)
    shown: dict[tuple[str, str], int] = {}
    for (queue, state), count in depths.items():
        place = (queue if queue in named else "other", state)
        shown[place] = shown.get(place, 0) + count
    metric = Metric(f"{SHARED}jobs", "Live jobs by queue and state, from the database, some seconds old.", "gauge")
    for (queue, state), count in sorted(shown.items()):
        metric.add_sample(metric.name, {"queue": queue, "state": state}, count)
    return metric
