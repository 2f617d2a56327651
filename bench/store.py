"""Jobs written straight into the tables by COPY, as the service would have left them there.

Ids are made by a formula, so that five million of them need not be kept, and pgbench can make them too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from bench import database

CHUNK = 10_000
QUEUE = "bench"
DAY = timedelta(days=1)

_JOBS = (
    "project_id, id, type, queue, state, priority, attempt, max_attempts, retry_delay_seconds, retry_factor, "
    "retry_max_delay_seconds, labels, worker, token, version, stage, progress, message, items_total, items_processed, "
    "items_failed, items_skipped, created_at, updated_at, status_changed_at, scheduled_at, started_at, completed_at"
)
_RUNS = (
    "project_id, job_id, lease_seconds, lease_ends_at, version, stage, progress, message, declared_total, "
    "items_count, items_processed, items_failed, items_skipped, samples, log_lines, updated_at"
)
_EVENTS = "project_id, job_id, type, at, attempt, worker, from_state, to_state"
_NONE = r"\N"


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs that were loaded together: the ids and tokens of numbers `first` to `first + count - 1`."""

    milliseconds: int
    first: int
    count: int

    @property
    def prefix(self) -> str:
        """What all ids begin with: a UUIDv7's time and fixed random bits; the number follows in 12 digits."""
        time = f"{self.milliseconds:012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-"

    def id(self, n: int) -> str:
        return f"{self.prefix}{self.first + n:012x}"

    def token(self, n: int) -> str:
        return f"00000000-0000-4000-8000-{self.first + n:012x}"

    def ids(self) -> list[str]:
        return [self.id(n) for n in range(self.count)]


class Store:
    """Loads jobs into one database. Numbers never repeat in it, so ids do not either."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._next = 1
        self.project = str(database.value(url, "SELECT id FROM projects"))
        self._now: datetime = database.value(url, "SELECT now()")

    def pending(self, count: int, *, queue: str = QUEUE) -> Jobs:
        """Jobs that wait for a worker."""
        return self._load("pending", count, queue)

    def running(self, count: int, *, queue: str = QUEUE) -> Jobs:
        """Jobs that a worker holds for a day: no lease runs out while something is measured."""
        return self._load("running", count, queue)

    def completed(self, count: int, *, queue: str = QUEUE, history: bool = False) -> Jobs:
        """Jobs that have ended; with `history` also the events that led there."""
        return self._load("completed", count, queue, history=history)

    def _load(self, state: str, count: int, queue: str, *, history: bool = False) -> Jobs:
        jobs = Jobs(int((self._now - timedelta(hours=1)).timestamp() * 1000), self._next, count)
        self._next += count
        database.wait_for(self._copy(jobs, state, queue, history=history))
        return jobs

    def run(self, *statements: str) -> None:
        """Run statements of the benchmark's own."""
        database.run(self._url, *statements)

    async def _copy(self, jobs: Jobs, state: str, queue: str, *, history: bool) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(
                "INSERT INTO queues (project_id, name, created_at, updated_at) VALUES ($1, $2, now(), now()) "
                "ON CONFLICT DO NOTHING",
                self.project,
                queue,
            )
            for start in range(0, jobs.count, CHUNK):
                chunk = range(start, min(start + CHUNK, jobs.count))
                for table, columns, rows in self._tables(jobs, chunk, state, queue, history=history):
                    await connection.copy_to_table(table, source=_encoded(rows), columns=columns.split(", "))
            await connection.execute("VACUUM (ANALYZE) jobs, runs, payloads, results, events")
        finally:
            await connection.close()

    def _tables(
        self, jobs: Jobs, chunk: range, state: str, queue: str, *, history: bool
    ) -> Iterator[tuple[str, str, Iterator[str]]]:
        project, made = self.project, self._now - timedelta(hours=1)
        ended = made + timedelta(minutes=5) if state == "completed" else _NONE
        held = state != "pending"
        told = ("embedding", "12 of 30 files") if held else (_NONE, _NONE)
        yield (
            "jobs",
            _JOBS,
            (
                f"{project}\t{jobs.id(n)}\tindex_folder\t{queue}\t{state}\t0\t{int(held)}\t3\t1\t2\t600\t{{}}\t"
                f"{'worker-1' if held else _NONE}\t{jobs.token(n) if held else _NONE}\t{3 if held else 1}\t{told[0]}\t"
                f"{100 if state == 'completed' else 0}\t{told[1]}\t{30 * held}\t{12 * held}\t0\t0\t"
                f"{made}\t{made}\t{made}\t{made}\t{made if held else _NONE}\t{ended}\n"
                for n in chunk
            ),
        )
        yield (
            "payloads",
            "project_id, job_id, payload",
            (f'{project}\t{jobs.id(n)}\t{{"folder": "/data/{n:08d}", "pattern": "*.pdf"}}\n' for n in chunk),
        )
        if state == "completed":
            yield (
                "results",
                "project_id, job_id, result",
                (f'{project}\t{jobs.id(n)}\t{{"pages": {n % 1000}}}\n' for n in chunk),
            )
        elif held:
            yield (
                "runs",
                _RUNS,
                (
                    f"{project}\t{jobs.id(n)}\t86400\t{self._now + DAY}\t1\t{told[0]}\t40\t{told[1]}\t30\t0\t12\t0\t0\t"
                    f"{{}}\t0\t{made}\n"
                    for n in chunk
                ),
            )
        if history:
            steps = (
                ("created", _NONE, "pending"),
                ("claimed", "pending", "dispatched"),
                ("completed", "running", state),
            )
            yield (
                "events",
                _EVENTS,
                (
                    f"{project}\t{jobs.id(n)}\tjob.{word}\t{made}\t1\tworker-1\t{source}\t{target}\n"
                    for n in chunk
                    for word, source, target in steps
                ),
            )


async def _encoded(rows: Iterator[str]) -> AsyncIterator[bytes]:
    yield "".join(rows).encode()
