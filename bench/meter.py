"""What a measurement cost: processor time of the service and of its database, statements, memory."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil

from bench import database
from bench.service import Service

_STATEMENTS = re.compile(r"^jobtrack_db_statements_total(?:{[^}]*})? (\S+)$", re.MULTILINE)
# The benchmark's own look at the counters is among them.
_TRANSACTIONS = """
    SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""
_WAL = "SELECT pg_current_wal_flush_lsn()::text, wal_fpi FROM pg_stat_wal"
MEGABYTE = 1_000_000
_MICROSECONDS = 1_000_000


@dataclass(slots=True)
class Spent:
    """What a block used up. The processor time is that of all processes of the service, and of all of PostgreSQL."""

    service: float = 0.0
    database: float = 0.0
    seconds: float = 0.0
    wal_from: str = ""
    wal_to: str = ""
    images: int = 0
    """Full-page images in that WAL; what a backend wrote in the last second or so may not be counted yet."""

    def microseconds(self, operations: float) -> dict[str, float]:
        """Processor time an operation."""
        return {
            "service µs each": self.service / operations * _MICROSECONDS,
            "database µs each": self.database / operations * _MICROSECONDS,
        }

    def milliseconds(self, operations: float) -> float:
        """Processor time of service and database together, an operation."""
        return (self.service + self.database) / operations * 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    at: float
    server_cpu: float
    database_cpu: float
    statements: float
    transactions: float


@contextlib.contextmanager
def spending(pid: int, database_pid: int, database_url: str) -> Iterator[Spent]:
    """Measure what a process with its children and a PostgreSQL use up in the block."""
    spent = Spent()
    [(spent.wal_from, images)] = database.fetch(database_url, _WAL)
    before, began = _processor_seconds(pid, database_pid), time.monotonic()
    yield spent
    spent.seconds = time.monotonic() - began
    after = _processor_seconds(pid, database_pid)
    spent.service, spent.database = (now - then for now, then in zip(after, before, strict=True))
    [(spent.wal_to, images_now)] = database.fetch(database_url, _WAL)
    spent.images = int(images_now - images)


class Meter:
    """Reads the counters of one service."""

    def __init__(self, service: Service, database_pid: int | None = None) -> None:
        self._service = service
        self._client = service.client()
        self._database_pid = database_pid
        """Of the PostgreSQL, where another service than this has started it."""

    def gauge(self, name: str) -> float:
        """One number of the service's metrics."""
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self._metrics(), re.MULTILINE)
        if found is None:
            raise LookupError(f"the service has no metric {name}")
        return float(found[1])

    def buckets(self, histogram: str) -> dict[float, float]:
        """How many observations are at most each bound of a histogram, over all its labels."""
        counts: dict[float, float] = {}
        line = rf'^{histogram}_bucket{{[^}}]*le="([^"]+)"[^}}]*}} (\S+)$'
        for bound, count in re.findall(line, self._metrics(), re.MULTILINE):
            counts[float(bound)] = counts.get(float(bound), 0.0) + float(count)
        if not counts:
            raise LookupError(f"the service has no histogram {histogram}")
        return counts

    def statements(self) -> float:
        """How many statements the service has sent."""
        found = _STATEMENTS.search(self._metrics())
        if found is None:
            raise LookupError("the service counts no statements")
        return float(found[1])

    def _metrics(self) -> str:
        return self._client.get("/metrics").raise_for_status().text

    def rss(self) -> float:
        """Megabytes that the service's process occupies."""
        return psutil.Process(self._service.pid).memory_info().rss / MEGABYTE

    def _processor_seconds(self) -> tuple[float, float]:
        return _processor_seconds(self._service.pid, self._database_pid or self._service.database_pid)

    def spending(self) -> AbstractContextManager[Spent]:
        """Measure what the block uses up, by counters that the service does not keep: all its processes count."""
        database_pid = self._database_pid or self._service.database_pid
        return spending(self._service.pid, database_pid, self._service.database_url)

    def read(self) -> Reading:
        service, postgres = self._processor_seconds()
        return Reading(
            at=time.monotonic(),
            server_cpu=service,
            database_cpu=postgres,
            statements=self.statements(),
            transactions=float(database.value(self._service.database_url, _TRANSACTIONS)),
        )

    @contextlib.contextmanager
    def measuring(self, costs: dict[str, list[float]]) -> Iterator[None]:
        """Add what the block costs to `costs`, a list of rounds for each cost."""
        before = self.read()
        yield
        after = self.read()
        seconds = after.at - before.at
        for name, amount in (
            ("server cores", (after.server_cpu - before.server_cpu) / seconds),
            ("database cores", (after.database_cpu - before.database_cpu) / seconds),
            ("statements/s", (after.statements - before.statements) / seconds),
            ("transactions/s", (after.transactions - before.transactions) / seconds),
            ("RSS MB", self.rss()),
        ):
            costs.setdefault(name, []).append(amount)


def longest(before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """The bound under which all that a histogram has observed between two readings lies; 0 for nothing."""
    counts = {bound: after[bound] - before[bound] for bound in after}
    total = max(counts.values())
    return min(bound for bound, count in counts.items() if count == total) if total else 0.0


def _processor_seconds(pid: int, database_pid: int) -> tuple[float, float]:
    """What a process with its living children and a PostgreSQL have used until now."""
    return _tree_cpu(psutil.Process(pid), database_pid), _family_cpu(psutil.Process(database_pid))


def _own_cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _tree_cpu(parent: psutil.Process, without: int) -> float:
    """All that a process and its living children use, but for those of a database that it has started."""
    used = _own_cpu(parent)
    for child in parent.children():
        if child.pid != without:
            with contextlib.suppress(psutil.NoSuchProcess):
                used += _tree_cpu(child, without)
    return used


def _family_cpu(parent: psutil.Process) -> float:
    """All that a server and its children have used, those that have ended (autovacuum) included."""
    times = parent.cpu_times()
    used = float(times.user + times.system + times.children_user + times.children_system)
    for child in parent.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += _own_cpu(child)
    return used
