"""What a measurement cost: processor time of the service and of its database, statements, memory."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from bench import database
from bench.service import Service

_STATEMENTS = re.compile(r"^jobtrack_db_statements_total(?:{[^}]*})? (\S+)$", re.MULTILINE)
# The benchmark's own look at the counters is among them.
_TRANSACTIONS = """
    SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()
"""
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """All counters at one moment."""

    at: float
    server_cpu: float
    database_cpu: float
    statements: float
    transactions: float


class Meter:
    """Reads the counters of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._client = service.client()

    def gauge(self, name: str) -> float:
        """One number of the service's metrics."""
        found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self._metrics(), re.MULTILINE)
        if found is None:
            raise LookupError(f"the service has no metric {name}")
        return float(found[1])

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

    def read(self) -> Reading:
        return Reading(
            at=time.monotonic(),
            server_cpu=_own_cpu(psutil.Process(self._service.pid)),
            database_cpu=_family_cpu(psutil.Process(self._service.database_pid)),
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


def _own_cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family_cpu(parent: psutil.Process) -> float:
    """All that a server and its children have used, those that have ended (autovacuum) included."""
    times = parent.cpu_times()
    used = float(times.user + times.system + times.children_user + times.children_system)
    for child in parent.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            used += _own_cpu(child)
    return used
