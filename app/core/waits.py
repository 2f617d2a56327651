"""Waiting for jobs: on the server, without a connection, a transaction or a timer in the database.

A wait says why it ended. Its jobs alone do not: those of a drain look like those of a wait whose time is over.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from app.core.jobs import Jobs
from app.core.wait_clock import timed_wait
from app.domain.answers import Include
from app.domain.job import Job, JobRef
from app.live.body_cache import CachedBody
from app.live.sweep import SWEEP_SECONDS
from app.live.waiters import Cause, Waiters, Watch


class Until(StrEnum):
    """The condition that ends a wait before its time is over."""

    ALL = "all"
    ANY = "any"
    CHANGE = "change"


class EndedBy(StrEnum):
    """Why a wait ended."""

    CONDITION = "condition"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"


class WaitResult(NamedTuple):
    """The jobs as they are at the end of a wait, and why it ended."""

    jobs: dict[UUID, Job]
    ended_by: EndedBy


NO_END = -1


class Waits:
    """Waits until jobs are in the state that the caller asked for, and reads them."""

    def __init__(
        self, jobs: Jobs, waiters: Waiters, observe_wake: Callable[[str, float], None] = lambda _, __: None
    ) -> None:
        self._jobs = jobs
        self._waiters = waiters
        self._observe_wake = observe_wake

    async def wait(
        self,
        project_id: UUID,
        job_ids: Sequence[UUID],
        *,
        seconds: float,
        until: Until = Until.ALL,
        versions: Mapping[UUID, int] | None = None,
        poll_seconds: float = SWEEP_SECONDS,  # noqa: ARG002 - see the docstring
        include: Include | None = None,
    ) -> WaitResult:
        """Wait until all or any of the jobs have ended, or one differs from `versions`; returns the states as they are.

        `seconds` is the longest wait, 0 for none and -1 for no end. Unknown jobs are left out and not waited for.
        `poll_seconds`, from 1, bounds the time between two reads. The process's sweep looks every second at all that is
        watched and so meets any such bound; it is never a query of this call.
        A drain ends it like the end of its time, and says so. With `include` the jobs have documents, as far as an
        answer holds them.
        """
        if seconds == 0:
            found = await self._read(project_id, job_ids, include)
            return WaitResult(found, ended_at_once(found, until, versions or {}))
        loop = asyncio.get_running_loop()
        ends_at = None if seconds < 0 else loop.time() + seconds
        # Registered before the first read: a change in between wakes it.
        cause = None
        versions = versions or {}
        with self._waiters.watch([JobRef(project_id, job_id) for job_id in dict.fromkeys(job_ids)]) as watch:
            # The watch shares its ids with all that watch the same jobs.
            del job_ids
            refs = watch.refs()
            count = len(refs)
            found = await self._jobs.get_many(project_id, [ref.job_id for ref in refs])
            whole = True
            met = _note(watch, found, until, versions)
            while not met:
                # During the wait there is a version of each job. The jobs themselves, of a thousand ids, were 2 MB.
                del found, refs
                left = None if ends_at is None else ends_at - loop.time()
                with timed_wait():
                    woken = await watch.changed(left)
                cause = watch.cause if woken else None
                news = watch.news() if woken else None
                if news is None:
                    # Read again whatever ended the wait, for a change at the last moment or a lost notification.
                    refs = [ref for _, ref in watch.live()] if woken else watch.refs()
                    found = await self._jobs.get_many(project_id, [ref.job_id for ref in refs])
                    whole = len(refs) == count
                else:
                    refs, found = [], {}
                    for job in news:
                        if job.id not in found or found[job.id].version < job.version:
                            found[job.id] = job
                    whole = len(found) == count
                met = _note(watch, found, until, versions, partial=news is not None)
                if not woken:
                    break
            all_ids = [ref.job_id for ref in watch.refs()]
        ended_by = self._ended_by(met)
        if include is not None:
            # What holds now may hold no longer if an ended job is deleted before this: the wait has ended all the same.
            found = await self._jobs.get_with_documents(project_id, all_ids, include)
            if condition_holds(found, until, versions):
                ended_by = EndedBy.CONDITION
        elif not whole:
            found = await self._jobs.get_many(project_id, all_ids)
        self._observe(cause)
        return WaitResult(found, ended_by)

    async def changed(
        self, project_id: UUID, job_id: UUID, *, is_seen: Callable[[int], bool], seconds: float
    ) -> tuple[CachedBody, EndedBy]:
        """Wait until a job has a version that the caller has not seen, or has ended; returns its body as it is then,
        and why the wait ended.

        A job that has ended is not waited for. Raises NotFoundError, also where the job is deleted meanwhile.
        """
        ends_at = asyncio.get_running_loop().time() + seconds
        ref = JobRef(project_id, job_id)
        cause = None
        # Registered before the first read: a change in between wakes it.
        with self._waiters.watch([ref]) as watch:
            body = await self._jobs.detail(project_id, job_id)
            while is_seen(body.version) and not body.terminal:
                watch.note(0, body.version)
                with timed_wait():
                    woken = await watch.changed(ends_at - asyncio.get_running_loop().time())
                cause = watch.cause if woken else None
                body = await self._jobs.detail(project_id, job_id)
                if not woken:
                    break
        self._observe(cause)
        return body, self._ended_by(not is_seen(body.version) or body.terminal)

    async def _read(self, project_id: UUID, job_ids: Sequence[UUID], include: Include | None) -> dict[UUID, Job]:
        if include is None:
            return await self._jobs.get_many(project_id, job_ids)
        return await self._jobs.get_with_documents(project_id, job_ids, include)

    def _ended_by(self, met: bool) -> EndedBy:
        if met:
            return EndedBy.CONDITION
        return EndedBy.SHUTDOWN if self._waiters.draining else EndedBy.TIMEOUT

    def _observe(self, cause: Cause | None) -> None:
        if cause is not None:
            self._observe_wake(cause.source, monotonic() - cause.at)


def ended_at_once(found: Mapping[UUID, Job | CachedBody], until: Until, versions: Mapping[UUID, int]) -> EndedBy:
    """Return why a wait of no length ended that read these jobs."""
    return EndedBy.CONDITION if condition_holds(found, until, versions) else EndedBy.TIMEOUT


def condition_holds(found: Mapping[UUID, Job | CachedBody], until: Until, versions: Mapping[UUID, int]) -> bool:
    """Whether the jobs that were found are what a caller waits for."""
    if not found:
        return True
    if until is Until.CHANGE:
        # Without a version the caller has seen nothing yet, so any state is new to it.
        # Where all have ended nothing can ever change, and a wait for it would have no end.
        return all(job.terminal for job in found.values()) or any(
            versions.get(job_id) != job.version for job_id, job in found.items()
        )
    ended = [job.terminal for job in found.values()]
    return all(ended) if until is Until.ALL else any(ended)


def _note(
    watch: Watch, found: Mapping[UUID, Job], until: Until, versions: Mapping[UUID, int], *, partial: bool = False
) -> bool:
    """Record the versions that were read, and stop watching jobs that have ended or do not exist; returns whether the
    condition holds now. With `partial` a job that was not found was not looked for.
    """
    met, left = False, 0
    for place, ref in watch.live():
        job = found.get(ref.job_id)
        if job is None and not partial:
            watch.drop(place)
            continue
        if job is not None and job.version >= watch.version(place):
            met |= until is Until.CHANGE and versions.get(job.id) != job.version
            if job.terminal:
                watch.drop(place)
                met |= until is Until.ANY
                continue
            watch.note(place, job.version)
        left += 1
    return met or not left
