"""The log lines of jobs, page by page, with a wait for the first where there is none yet."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from app.core.jobs import Jobs
from app.core.wait_clock import timed_wait
from app.core.waits import EndedBy
from app.db import logs
from app.db.connection import Connection
from app.db.engine import Database
from app.db.logs import WindowOfLines
from app.domain.event import LogRecord
from app.domain.job import JobRef
from app.live.shared_reads import SharedReads
from app.live.waiters import Waiters

FILTER_WINDOW: Final = 10_000
"""With a filter at most this many lines are examined for one page: a short page and where to go on, never a long scan.
"""


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines, the number of the line to ask for next, whether there can be no more, and why the wait ended."""

    lines: tuple[LogRecord, ...]
    next_offset: int
    ended: bool
    ended_by: EndedBy
    size: int
    """Bytes of the lines, about."""
    more: bool
    """Whether the lines end before those that there are."""


class _PageOf(NamedTuple):
    """Lines of a job from a number on."""

    ref: JobRef
    offset: int
    limit: int
    levels: frozenset[str] | None
    attempt: int | None

    @property
    def window(self) -> int:
        """How many lines are examined."""
        return self.limit if self.levels is None and self.attempt is None else FILTER_WINDOW


class Logs:
    """The log lines of all projects' jobs; every call names its own."""

    def __init__(self, database: Database, jobs: Jobs, waiters: Waiters, *, max_answer_bytes: int) -> None:
        self._jobs = jobs
        self._waiters = waiters
        self._max_answer_bytes = max_answer_bytes
        # All who follow a log have come as far, but for those that have just begun.
        self._pages: SharedReads[_PageOf, WindowOfLines] = SharedReads(database, self._read_page)

    async def page(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        offset: int,
        limit: int,
        levels: Collection[str] | None = None,
        attempt: int | None = None,
        wait_seconds: float = 0,
    ) -> LogPage:
        """Return log lines from a number on, as many as an answer holds; with `wait_seconds`, wait for the first if
        there is none yet. A page may be short; only `ended` is the end.
        """
        chosen = None if levels is None else frozenset(levels)
        ends_at = asyncio.get_running_loop().time() + wait_seconds
        ref = JobRef(project_id, job_id)
        # Registered before the first read: a line that comes in between wakes it.
        with self._waiters.watch([ref]) as watch:
            while True:
                # The job first: lines that come after it are read with it, and none can come once it has ended.
                job = await self._jobs.get(project_id, job_id)
                page = _PageOf(ref, offset, limit, chosen, attempt)
                seen = await self._pages.get(page)
                # What an answer has no room for, and what is behind the last line that it may have, comes next.
                is_cut = len(seen.lines) < seen.found or seen.found == limit
                more = is_cut or seen.examined == page.window
                offset = seen.lines[-1].line + 1 if is_cut else max(offset, seen.last_line + 1)
                left = ends_at - asyncio.get_running_loop().time()
                if seen.lines or more or job.terminal:
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
                return LogPage(tuple(seen.lines), offset, job.terminal and not more, ended_by, seen.size, more)

    async def _read_page(self, connection: Connection, page: _PageOf) -> WindowOfLines:
        return await logs.select_page(
            connection,
            page.ref,
            offset=page.offset,
            window=page.window,
            limit=page.limit,
            max_size=self._max_answer_bytes,
            levels=page.levels,
            attempt=page.attempt,
        )
