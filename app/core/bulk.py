"""Cancelling and rerunning all jobs that a filter matches, a bounded number a call."""

from collections.abc import Callable, Iterable
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
from app.domain.errors import ForbiddenError, InvalidError, JobtrackError
from app.domain.job import Job
from app.domain.job_filter import JobFilter, JobPage
from app.domain.principal import Principal
from app.domain.states import RERUNNABLE, JobEvent, JobState, sources_of
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

MOST_CANCELS: Final = 1_000
MOST_RERUNS: Final = 100
"""A rerun copies items and is a transaction of its own, so that one with a million of them delays no other."""


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What one call came to. Call again with `next_before` until it is None."""

    matched: int
    changed: int
    next_before: UUID | None


class Bulk:
    """Does to many jobs what `Jobs` does to one."""

    def __init__(
        self, database: Database, jobs: Jobs, lists: JobLists, announce: Callable[[Iterable[Change]], None]
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._lists = lists
        self._announce = announce

    async def cancel(
        self,
        actor: Actor,
        wanted: JobFilter,
        *,
        before: UUID | None = None,
        limit: int = MOST_CANCELS,
        dry_run: bool = False,
    ) -> BulkOutcome:
        """Ask for a cancel of up to `limit` live jobs; those already being cancelled are not counted."""
        sources = sources_of(JobEvent.CANCEL) - {JobState.CANCELLING}
        page = await self._matching(actor.principal, wanted, sources, before=before, limit=min(limit, MOST_CANCELS))
        if dry_run or not page.jobs:
            return BulkOutcome(len(page.jobs), 0, page.next_before)
        keys = [job.ref for job in page.jobs]
        project_id, by = actor.principal.project_id, actor.principal.name

        async def work(connection: Connection) -> list[Change]:
            await transitions.lock_in_order(connection, keys)
            moves = [Move(project_id=project_id, job_id=job_id, cancelled_by=by) for _, job_id in keys]
            changes = changes_of(await transitions.move(connection, JobEvent.CANCEL, moves))
            counts = {"matched": len(keys), "changed": len(changes)}
            audit.record(connection, audit.jobs_changed(Action.JOBS_CANCEL_MANY, actor, wanted, counts))
            return changes

        changes = await self._database.write(work)
        self._announce(changes)
        return BulkOutcome(len(keys), len(changes), page.next_before)

    async def rerun(
        self,
        actor: Actor,
        wanted: JobFilter,
        *,
        only_failed_items: bool = False,
        before: UUID | None = None,
        limit: int = MOST_RERUNS,
        dry_run: bool = False,
    ) -> BulkOutcome:
        """Rerun up to `limit` ended jobs, each in a transaction of its own. One that has a live rerun, has nothing to
        rerun, is gone meanwhile or has a fault of its own is matched and not changed.
        """
        page = await self._matching(actor.principal, wanted, RERUNNABLE, before=before, limit=min(limit, MOST_RERUNS))
        if dry_run or not page.jobs:
            return BulkOutcome(len(page.jobs), 0, page.next_before)
        counts = {"matched": len(page.jobs), "changed": 0}
        try:
            for job in page.jobs:
                counts["changed"] += await self._rerun_one(actor.principal, job, only_failed_items=only_failed_items)
        finally:
            # Each is a transaction of its own, so what was done by the time of an error stays done.
            audit.write_line(audit.jobs_changed(Action.JOBS_RERUN_MANY, actor, wanted, counts))
        return BulkOutcome(len(page.jobs), counts["changed"], page.next_before)

    async def _rerun_one(self, principal: Principal, job: Job, *, only_failed_items: bool) -> bool:
        """Rerun a job; return whether that made a new one."""
        try:
            created = await self._jobs.rerun(
                principal.project_id, job.id, only_failed_items=only_failed_items, queues=principal.queues
            )
        except JobtrackError as error:
            if error.retryable:
                raise
            return False
        except Exception:
            # A fault of one job is that job's alone; it would otherwise keep the call from all that come after it.
            log.exception("a job of a call about many could not be rerun", job_id=str(job.id))
            return False
        return not created.replayed

    async def _matching(
        self,
        principal: Principal,
        wanted: JobFilter,
        states: frozenset[JobState],
        *,
        before: UUID | None,
        limit: int,
    ) -> JobPage:
        if wanted.everything:
            raise InvalidError("Give at least one condition: a call about all jobs of a project is a slip, mostly.")
        if principal.queues is not None:
            if wanted.queues is not None and not wanted.queues <= principal.queues:
                raise ForbiddenError("The key may not use this queue.")
            wanted = replace(wanted, queues=wanted.queues or principal.queues)
        states = states if wanted.states is None else states & wanted.states
        return await self._lists.page(principal.project_id, replace(wanted, states=states), before=before, limit=limit)
