"""The log lines of jobs, page by page, with a wait for the first where there is none yet."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

from app.core.jobs import Jobs
from app.core.wait_clock import timed_wait
from app.core.waits import EndedBy
from app.db import logs
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.event import LogRecord
from app.domain.job import JobRef
from app.live.shared_reads import SharedReads
from app.live.waiters import Waiters


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines, the number of the line to ask for next, whether there can be no more, and why the wait ended."""

    lines: tuple[LogRecord, ...]
    next_offset: int
    ended: bool
    ended_by: EndedBy
    size: int
    """Bytes of the lines, about."""


class _PageOf(NamedTuple):
    """Lines of a job from a number on."""

    ref: JobRef
    offset: int
    limit: int


_Lines: TypeAlias = tuple[list[LogRecord], int, int]
"""Lines, how many were found, and the bytes of those that are here."""


class Logs:
    """The log lines of all projects' jobs; every call names its own."""

    def __init__(self, database: Database, jobs: Jobs, waiters: Waiters, *, max_answer_bytes: int) -> None:
        self._jobs = jobs
        self._waiters = waiters
        self._max_answer_bytes = max_answer_bytes
        # All who follow a log have come as far, but for those that have just begun.
        self._pages: SharedReads[_PageOf, _Lines] = SharedReads(database, self._read_page)

    async def page(
        self, project_id: UUID, job_id: UUID, *, offset: int, limit: int, wait_seconds: float = 0
    ) -> LogPage:
        """Return log lines from a number on, as many as an answer holds; with `wait_seconds`, wait for the first if
        there is none yet.
        """
        ends_at = asyncio.get_running_loop().time() + wait_seconds
        ref = JobRef(project_id, job_id)
        # Registered before the first read: a line that comes in between wakes it.
        with self._waiters.watch([ref]) as watch:
            while True:
                # The job first: lines that come after it are read with it, and none can come once it has ended.
                job = await self._jobs.get(project_id, job_id)
                lines, found, size = await self._pages.get(_PageOf(ref, offset, limit))
                left = ends_at - asyncio.get_running_loop().time()
                if lines or job.terminal:
                    ended_by = EndedBy.CONDITION
                elif left <= 0:
                    ended_by = EndedBy.TIMEOUT
                elif self._waiters.draining:
                    ended_by = EndedBy.SHUTDOWN
                else:
                    watch.note(0, job.version)
                    with timed_wait():
                        await watch.changed(left)
                    continue
                next_offset = lines[-1].line + 1 if lines else offset
                # A full answer has fewer lines than were found, so that these alone do not show the end.
                ended = job.terminal and len(lines) == found < limit
                return LogPage(tuple(lines), next_offset, ended, ended_by, size)

    async def _read_page(self, connection: Connection, page: _PageOf) -> _Lines:
        return await logs.select_page(
            connection, *page.ref, offset=page.offset, limit=page.limit, max_size=self._max_answer_bytes
        )
