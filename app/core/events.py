"""The events of jobs: page by page, and live. Their log lines are in `logs`."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

from app.core.jobs import Jobs
from app.core.wait_clock import timed_wait
from app.db import epochs, events
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.event import JobEventRecord, Position
from app.domain.job import Job, JobRef
from app.domain.states import TERMINAL
from app.live.event_stream import PAGE, EventStream
from app.live.feed_lag import FeedLag
from app.live.shared_reads import SharedReads
from app.live.waiters import Waiters


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """Marks where a stream begins: every event that it yields comes after this position."""

    position: Position


@dataclass(frozen=True, slots=True)
class Reset:
    """Ends a stream whose reader was too slow: the reader has to read the state again, and subscribe again."""


class _PageOf(NamedTuple):
    """The page of a job's events behind an id."""

    ref: JobRef
    after: int


_Page: TypeAlias = tuple[list[JobEventRecord], bool]
"""Events, and whether there are more."""


class Events:
    """The events of jobs, read and followed."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        waiters: Waiters,
        stream: EventStream,
        lag: FeedLag,
        *,
        max_answer_bytes: int,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._waiters = waiters
        self._stream = stream
        self._lag = lag
        self._max_answer_bytes = max_answer_bytes
        # All readers of a job's stream have come as far, but for those that have just begun.
        self._pages: SharedReads[_PageOf, _Page] = SharedReads(database, self._read_page)

    async def page(
        self, project_id: UUID, job_id: UUID, *, after: int = 0, limit: int = 50
    ) -> tuple[list[JobEventRecord], bool]:
        """Return events of a job behind an id, as many as an answer holds, and whether there are more."""
        return await self.of(await self._jobs.get(project_id, job_id), after=after, limit=limit)

    async def of(self, job: Job, *, after: int = 0, limit: int = 50) -> tuple[list[JobEventRecord], bool]:
        """Return events of a job that the caller has read, as `page` does."""
        project_id, job_id = job.ref
        return await self._database.slow(project_id).read(
            events.select_of_job, project_id, job_id, after=after, limit=limit, max_size=self._max_answer_bytes
        )

    async def follow(
        self, project_id: UUID, after: Position | None = None
    ) -> AsyncGenerator[StreamStarted | JobEventRecord | Reset, None]:
        """Yield every event of a project behind a position, or from now on; in commit order, each once."""
        async with self._stream.follow(project_id) as (subscription, reached):
            position = after
            if position is None:
                yield StreamStarted(reached)
            while position is not None and position < reached:
                # Events before the subscription's position are read for this reader alone, in pages.
                past, ends = await self._database.slow(project_id).read(
                    events.select_feed, {project_id: position}, PAGE
                )
                for event in past:
                    if event.position <= reached:
                        yield event
                if project_id not in ends:
                    break
                position = ends[project_id].position
            async for event in subscription.events():
                if after is None or event.position > after:
                    yield event
            if subscription.overflowed:
                yield Reset()

    def held_up_seconds(self) -> float | None:
        """Return for how long another transaction has held up the feed; None if none does."""
        return self._lag.seconds if self._lag.is_long else None

    async def is_current(self, project_id: UUID, position: Position) -> bool:
        """Whether a position is of the cluster that the database lives in now."""
        return position.epoch == await self._database.slow(project_id).read(epochs.select)

    async def _read_page(self, connection: Connection, page: "_PageOf") -> "_Page":
        return await events.select_of_job(
            connection, *page.ref, after=page.after, limit=PAGE, max_size=self._max_answer_bytes
        )

    async def is_over(self, project_id: UUID, job_id: UUID, after: Position | None) -> bool:
        """Whether a job has ended and has no event behind a position; raises NotFoundError.

        Nothing is left to tell then to a reader who has come so far.
        """
        job = await self._jobs.get(project_id, job_id)
        if after is None or not job.terminal:
            return False
        events, _ = await self.page(project_id, job_id, after=after.id, limit=1)
        return not events

    async def follow_job(
        self, project_id: UUID, job_id: UUID, after: Position | None = None
    ) -> AsyncGenerator[StreamStarted | Job | JobEventRecord, None]:
        """Yield where the stream begins and the job, then each event behind `after` (default: from now on) and the job
        whenever it changed; ends with the job. Its events are written under its lock, so that their ids are their
        order.

        The event of its end comes last, behind the job in its final state: who has that event has all there is.
        """
        ref = JobRef(project_id, job_id)
        with self._waiters.watch([ref]) as watch:
            if after is None:
                # Before the job is read: an event in between is yielded after a job that includes it, and is not lost.
                after = await self._database.slow(project_id).read(events.select_last_of_job, project_id, job_id)
            job = await self._jobs.get(project_id, job_id)
            yield StreamStarted(after)
            yield job
            while True:
                watch.note(0, job.version)
                more = True
                while more:
                    page, more = await self._pages.get(_PageOf(ref, after.id))
                    for event in page:
                        if event.target in TERMINAL and not job.terminal:
                            # It ended after the job was read, which comes first.
                            more = False
                            break
                        after = event.position
                        yield event
                if job.terminal or self._waiters.draining:
                    return
                with timed_wait():
                    await watch.changed(None)
                if news := watch.news():
                    latest: Job | None = max(news, key=_version)
                else:
                    latest = (await self._jobs.get_many(project_id, [job_id])).get(job_id)
                if latest is None:
                    return
                if latest.version > job.version:
                    job = latest
                    yield job


def _version(job: Job) -> int:
    return job.version
