"""The two kinds of contestant of row 15, which do the same: the service over HTTP, and a library in its process."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bench import database
from bench.child import Child
from bench.load import generator
from bench.load.connection import Request
from bench.load.loops import closed_loop
from bench.load.starting import idle, start_and_end
from bench.load.working import Form, work
from bench.meter import Spent, spending
from bench.session import Session

CONNECTIONS, BATCH_CONNECTIONS, WORKERS = 64, 1, 4
READY_PER_SECOND = 20_000
_MICROSECONDS = 1_000_000
_TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
_FLUSHED_SECONDS = 11.0
"""After which every backend that rests has told the statistics of what it did before: ten, and one to spare."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The transactions of a database until a moment."""

    at: float
    transactions: int


@dataclass(slots=True)
class Rounds:
    """What one kind of work came to, round by round."""

    rates: list[float] = field(default_factory=list)
    shares: list[tuple[float, ...]] = field(default_factory=list)
    """Microseconds a job, by the kind of process."""

    def note(self, jobs: int, seconds: float, *used: float) -> None:
        self.rates.append(jobs / seconds)
        self.shares.append(tuple(part / max(jobs, 1) * _MICROSECONDS for part in used))

    @property
    def costs(self) -> list[float]:
        return [sum(parts) for parts in self.shares]

    def parts(self, kinds: Sequence[str]) -> str:
        """The round in the middle, in words."""
        typical = sorted(self.shares, key=sum)[len(self.shares) // 2]
        return " + ".join(f"{part:.0f} {kind}" for part, kind in zip(typical, kinds, strict=True))


class Side(ABC):
    """What both kinds do, and what they keep of it."""

    name: str
    batches = True
    kinds: tuple[str, ...]
    """Whose processor time a job's cost is made of."""

    def __init__(self, session: Session, url: str) -> None:
        self._session = session
        self._url = url
        self.enqueued, self.batched, self.worked = Rounds(), Rounds(), Rounds()
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.transactions: list[float] = []
        self.idles: list[float] = []

    @abstractmethod
    def enqueue(self, seconds: float) -> None:
        """Create jobs one by one."""

    @abstractmethod
    def enqueue_batches(self, seconds: float, size: int) -> None:
        """Create jobs by many in a call."""

    @abstractmethod
    def work(self, seconds: float) -> None:
        """Work off jobs that are there already."""

    @abstractmethod
    def wake(self, tries: int) -> None:
        """Create jobs for which a worker waits, and wait for their ends."""

    @abstractmethod
    def idle(self, seconds: float, background: float) -> float:
        """Wait with an idle worker; returns the cores that the database used beside the `background` for others."""

    @abstractmethod
    def clear(self) -> None:
        """Empty the tables of jobs."""

    def told(self) -> str:
        """The round that was just measured, in a line."""
        batched = f"{self.batched.costs[-1]:.0f}" if self.batched.shares else "none"
        return (
            f"{self.name}: µs a job one by one {self.enqueued.costs[-1]:.0f}, in batches {batched}, worked off "
            f"{self.worked.costs[-1]:.0f}; start {self.starts[-1]:.0f} ms, end {self.ends[-1]:.0f} ms"
        )

    def _woke(self, found: dict[str, Any]) -> None:
        self.starts.append(statistics.median(found["starts"]) * 1000)
        self.ends.append(statistics.median(found["ends"]) * 1000)

    def _rested(self, spent: Spent, before: Counted, background: float) -> float:
        used = spent.service + max(spent.database - background * spent.seconds, 0.0)
        self.idles.append(used / spent.seconds * 100)
        after = self._transactions()
        self.transactions.append((after.transactions - before.transactions) / (after.at - before.at))
        return spent.database / spent.seconds

    def _transactions(self) -> Counted:
        return Counted(time.monotonic(), int(database.value(self._url, _TRANSACTIONS)))


Work: TypeAlias = Callable[[Side], Rounds]


class Ours(Side):
    """Jobtrack, reached over HTTP by clients in a process of their own."""

    name = "Jobtrack"
    kinds = ("client", "service", "database")

    def __init__(self, session: Session) -> None:
        super().__init__(session, session.service.database_url)
        self._queues = 0

    def enqueue(self, seconds: float) -> None:
        self._create(self.enqueued, Request.post("/v1/jobs", _job("made")), CONNECTIONS, 1, seconds, status=201)

    def enqueue_batches(self, seconds: float, size: int) -> None:
        batch = Request.post("/v1/jobs/batch", {"jobs": [_job("made")] * size})
        self._create(self.batched, batch, BATCH_CONNECTIONS, size, seconds)

    def _create(
        self, kept: Rounds, request: Request, connections: int, jobs: int, seconds: float, *, status: int = 200
    ) -> None:
        port = self._session.service.port
        with self._session.meter.spending() as spent:
            found = generator.run(
                closed_loop, port, [request.raw()], connections=connections, seconds=seconds, wanted=status
            )
        count = len(found.latencies)
        kept.note(count * jobs, count / found.per_second, found.cpu, spent.service, spent.database)

    def work(self, seconds: float) -> None:
        queue, port = self._queue(), self._session.service.port
        self._session.store.pending(int(READY_PER_SECOND * seconds), queue=queue)
        with self._session.meter.spending() as spent:
            found = generator.run(work, port, queue, workers=WORKERS, seconds=seconds, form=Form.ENDS)
        self.worked.note(found.jobs, found.seconds, found.cpu, spent.service, spent.database)

    def wake(self, tries: int) -> None:
        self._woke(generator.run(start_and_end, self._session.service.port, self._queue(), tries=tries))

    def idle(self, seconds: float, background: float) -> float:
        time.sleep(_FLUSHED_SECONDS)
        before = self._transactions()
        with self._session.meter.spending() as spent:
            generator.run(idle, self._session.service.port, self._queue(), seconds=seconds)
        return self._rested(spent, before, background)

    def clear(self) -> None:
        self._session.store.run("TRUNCATE jobs CASCADE", "TRUNCATE runs, payloads, results, events")

    def _queue(self) -> str:
        self._queues += 1
        return f"peer-{self._queues}"


def _job(queue: str) -> dict[str, Any]:
    return {"type": "probe", "queue": queue, "payload": {"n": -1}}


class Library(Side):
    """A library whose calls, worker and waiters are one process, as is its processor time."""

    kinds = ("process", "database")

    def __init__(self, session: Session, package: str, child: Child, url: str) -> None:
        super().__init__(session, url)
        self.name = f"{package} {child.said['version']}"
        self.batches = bool(child.said["batches"])
        self._child = child

    def enqueue(self, seconds: float) -> None:
        self._measure(self.enqueued, "enqueue", seconds=seconds, at_once=CONNECTIONS)

    def enqueue_batches(self, seconds: float, size: int) -> None:
        self._measure(self.batched, "enqueue_batches", seconds=seconds, size=size)

    def work(self, seconds: float) -> None:
        self._child.ask("load", count=int(self._child.said["pace"] * seconds))
        self._measure(self.worked, "work", seconds=seconds)

    def _measure(self, kept: Rounds, command: str, **values: object) -> None:
        with self._spending() as spent:
            found = self._child.ask(command, **values)
        kept.note(found["jobs"], found["seconds"], spent.service, spent.database)

    def wake(self, tries: int) -> None:
        self._child.ask("start")
        self._woke(self._child.ask("wake", tries=tries))
        self._child.ask("stop")

    def idle(self, seconds: float, background: float) -> float:
        self._child.ask("start")
        time.sleep(_FLUSHED_SECONDS)
        before = self._transactions()
        with self._spending() as spent:
            time.sleep(seconds)
        used = self._rested(spent, before, background)
        self._child.ask("stop")
        return used

    def clear(self) -> None:
        database.run(self._url, f"TRUNCATE {self._child.said['tables']} CASCADE")

    def _spending(self) -> AbstractContextManager[Spent]:
        return spending(self._child.pid, self._session.service.database_pid, self._url)
