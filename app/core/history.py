"""The history of jobs: page by page, line by line, and as it happens."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import UUID

from app.core.jobs import Jobs
from app.core.wait_clock import waiting
from app.db import event_feed
from app.db.connection import Connection
from app.db.engine import Database
from app.db.event_feed import Extent
from app.domain.errors import NotFoundError
from app.domain.history import JobEventRecord, LogRecord, Position
from app.domain.job import Job, JobRef
from app.live.event_stream import PAGE, EventStream
from app.live.waiters import Waiters


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines, the number of the line to ask for next, and whether there can be no more."""

    lines: tuple[LogRecord, ...]
    next_offset: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """A stream begins here: what is told from now on lies behind this position."""

    position: Position


@dataclass(frozen=True, slots=True)
class Reset:
    """A stream ends because its reader was too slow: read what you need anew, and begin again."""


class History:
    """Reads what happened, and follows what happens."""

    def __init__(self, database: Database, jobs: Jobs, waiters: Waiters, stream: EventStream) -> None:
        self._database = database
        self._jobs = jobs
        self._waiters = waiters
        self._stream = stream

    async def events(
        self, project_id: UUID, job_id: UUID, *, after: int = 0, limit: int = 50
    ) -> tuple[list[JobEventRecord], bool]:
        """Give events of a job behind an id, and whether there are more."""
        await self._jobs.get(project_id, job_id)

        async def work(connection: Connection) -> list[JobEventRecord]:
            return await event_feed.select_of_job(connection, project_id, job_id, after=after, limit=limit + 1)

        found = await self._database.read(work)
        return found[:limit], len(found) > limit

    async def logs(
        self, project_id: UUID, job_id: UUID, *, offset: int, limit: int, wait_seconds: float = 0
    ) -> LogPage:
        """Give log lines from a number on; with `wait_seconds`, wait for the first if there is none yet."""
        ends_at = asyncio.get_running_loop().time() + wait_seconds
        ref = JobRef(project_id, job_id)
        # Registered before the first read: a line that comes in between wakes it.
        with self._waiters.watch([ref]) as watch:
            while True:
                # The job first: lines that come after it are read with it, and none can come once it has ended.
                job = await self._jobs.get(project_id, job_id)
                lines = await self._lines(project_id, job_id, offset, limit)
                left = ends_at - asyncio.get_running_loop().time()
                if lines or job.terminal or left <= 0 or self._waiters.draining:
                    next_offset = lines[-1].line + 1 if lines else offset
                    return LogPage(tuple(lines), next_offset, ended=job.terminal and len(lines) < limit)
                watch.seen[ref] = job.version
                with waiting():
                    await watch.changed(left)

    async def _lines(self, project_id: UUID, job_id: UUID, offset: int, limit: int) -> list[LogRecord]:
        async def work(connection: Connection) -> list[LogRecord]:
            return await event_feed.select_logs(connection, project_id, job_id, offset=offset, limit=limit)

        return await self._database.read(work)

    async def follow(
        self, project_id: UUID, after: Position | None = None
    ) -> AsyncGenerator[Begun | JobEventRecord | Reset, None]:
        """Give every event of a project behind a position, or from now on; in commit order, each once."""
        async with self._stream.follow(project_id) as (subscription, reached):
            position = after
            if position is None:
                yield Begun(reached)
            while position is not None and position < reached:
                # What lies between the reader's position and ours is read for it alone, in pages.
                found, extents = await self._page(project_id, position)
                for event in found:
                    if event.position <= reached:
                        yield event
                if project_id not in extents:
                    break
                position = extents[project_id].position
            async for event in subscription.events():
                if after is None or event.position > after:
                    yield event
            if subscription.overflowed:
                yield Reset()

    async def _page(self, project_id: UUID, position: Position) -> tuple[list[JobEventRecord], dict[UUID, Extent]]:
        return await self._database.read(
            lambda connection: event_feed.select_feed(connection, {project_id: position}, PAGE)
        )

    async def follow_job(
        self, project_id: UUID, job_id: UUID, after: int | None = None
    ) -> AsyncGenerator[Job | JobEventRecord, None]:
        """Give the job, then each event behind `after` (default: from now on) and the job whenever it changed; ends
        with the job. Its events are written under its lock, so that their ids are their order.
        """
        ref = JobRef(project_id, job_id)
        with self._waiters.watch([ref]) as watch:
            if after is None:
                # Before the job is read: an event in between is told after a snapshot that has it, and not lost.
                after = await self._last_event(project_id, job_id)
            job = await self._jobs.get(project_id, job_id)
            yield job
            while True:
                watch.seen[ref] = job.version
                more = True
                while more:
                    try:
                        events, more = await self.events(project_id, job_id, after=after, limit=PAGE)
                    except NotFoundError:
                        return
                    for event in events:
                        after = event.position.id
                        yield event
                if job.terminal or self._waiters.draining:
                    return
                with waiting():
                    await watch.changed(None)
                latest = (await self._jobs.get_many(project_id, [job_id])).get(job_id)
                if latest is None:
                    return
                if latest.version != job.version:
                    job = latest
                    yield job

    async def _last_event(self, project_id: UUID, job_id: UUID) -> int:
        async def work(connection: Connection) -> int:
            return await event_feed.select_last_of_job(connection, project_id, job_id)

        return await self._database.read(work)
