"""Cancelling and rerunning all jobs that a filter matches, a bounded number a call."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import structlog

from app.core import audit
from app.core.batches.changes import changes_of
from app.core.job_lists import JobLists
from app.core.jobs import Jobs
from app.db import transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.audit import Action, Actor
from app.domain.errors import ForbiddenError, InvalidError, JobBusyError, JobtrackError
from app.domain.job import JobRef
from app.domain.job_filter import JobFilter, JobIdPage
from app.domain.principal import Principal
from app.domain.states import RERUNNABLE, JobEvent, JobState, sources_of
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

MOST_CANCELS: Final = 1_000
MOST_RERUNS: Final = 100
"""A rerun copies items and is a transaction of its own, so that one with a million of them delays no other."""


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """The counts of one call. Call again with `next_before` until it is None."""

    matched: int
    changed: int
    busy: int
    """How many were left out because another transaction had locked them."""
    next_before: UUID | None


class Bulk:
    """Cancels and reruns many jobs, as `Jobs` does single ones."""

    def __init__(
        self,
        database: Database,
        jobs: Jobs,
        lists: JobLists,
        announce: Callable[[Iterable[Change]], None],
        count_busy: Callable[[str, int], None] = lambda _, __: None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._lists = lists
        self._announce = announce
        self._count_busy = count_busy

    async def cancel(
        self,
        actor: Actor,
        job_filter: JobFilter,
        *,
        before: UUID | None = None,
        limit: int = MOST_CANCELS,
        dry_run: bool = False,
    ) -> BulkOutcome:
        """Request a cancel of up to `limit` live jobs; those already being cancelled are not counted."""
        sources = sources_of(JobEvent.CANCEL) - {JobState.CANCELLING}
        page = await self._matching(actor.principal, job_filter, sources, before=before, limit=min(limit, MOST_CANCELS))
        if dry_run or not page.job_ids:
            return BulkOutcome(len(page.job_ids), 0, 0, page.next_before)
        changes, busy = await self._database.write(_cancel, actor, job_filter, page.job_ids)
        self._announce(changes)
        self._count_busy("bulk cancel", busy)
        return BulkOutcome(len(page.job_ids), len(changes), busy, page.next_before)

    async def rerun(
        self,
        actor: Actor,
        job_filter: JobFilter,
        *,
        only_failed_items: bool = False,
        before: UUID | None = None,
        limit: int = MOST_RERUNS,
        dry_run: bool = False,
    ) -> BulkOutcome:
        """Rerun up to `limit` ended jobs, each in a transaction of its own.

        A job is counted as matched and not as changed if it has a live rerun, has nothing to rerun, was deleted in the
        meantime or fails for a reason of its own.
        """
        page = await self._matching(
            actor.principal, job_filter, RERUNNABLE, before=before, limit=min(limit, MOST_RERUNS)
        )
        if dry_run or not page.job_ids:
            return BulkOutcome(len(page.job_ids), 0, 0, page.next_before)
        busy = 0
        counts = {"matched": len(page.job_ids), "changed": 0}
        try:
            for job_id in page.job_ids:
                try:
                    counts["changed"] += await self._rerun_one(
                        actor.principal, job_id, only_failed_items=only_failed_items
                    )
                except JobBusyError:
                    busy += 1
        finally:
            # Each is a transaction of its own, so what was committed before an error is recorded too.
            audit.write_line(audit.jobs_changed(Action.JOBS_RERUN_MANY, actor, job_filter, counts))
        self._count_busy("bulk rerun", busy)
        return BulkOutcome(len(page.job_ids), counts["changed"], busy, page.next_before)

    async def _rerun_one(self, principal: Principal, job_id: UUID, *, only_failed_items: bool) -> bool:
        """Rerun a job; returns whether that created a new one."""
        try:
            created = await self._jobs.rerun(
                principal.project_id,
                job_id,
                only_failed_items=only_failed_items,
                queues=principal.queues,
                skip_busy=True,
            )
        except JobtrackError as error:
            if error.retryable:
                raise
            return False
        except Exception:
            # An unexpected error of one job must not keep the call from the jobs after it.
            log.exception("a job of a call about many could not be rerun", job_id=str(job_id))
            return False
        return not created.replayed

    async def _matching(
        self,
        principal: Principal,
        job_filter: JobFilter,
        states: frozenset[JobState],
        *,
        before: UUID | None,
        limit: int,
    ) -> JobIdPage:
        if job_filter.everything:
            raise InvalidError("Give at least one condition: a call about all jobs of a project is a slip, mostly.")
        if principal.queues is not None:
            if job_filter.queues is not None and not job_filter.queues <= principal.queues:
                raise ForbiddenError("The key may not use this queue.")
            job_filter = replace(job_filter, queues=job_filter.queues or principal.queues)
        states = states if job_filter.states is None else states & job_filter.states
        within = replace(job_filter, states=states)
        return await self._lists.page_of_ids(principal.project_id, within, before=before, limit=limit)


async def _cancel(
    connection: Connection, actor: Actor, job_filter: JobFilter, job_ids: Sequence[UUID]
) -> tuple[list[Change], int]:
    project_id, by = actor.principal.project_id, actor.principal.name
    refs = [JobRef(project_id, job_id) for job_id in job_ids]
    busy = await transitions.lock_free(connection, refs)
    moves = [Move(project_id=project_id, job_id=ref.job_id, cancelled_by=by) for ref in refs if ref not in busy]
    changes = changes_of(await transitions.move(connection, JobEvent.CANCEL, moves))
    counts = {"matched": len(job_ids), "changed": len(changes)}
    audit.record(connection, audit.jobs_changed(Action.JOBS_CANCEL_MANY, actor, job_filter, counts))
    return changes, len(busy)
