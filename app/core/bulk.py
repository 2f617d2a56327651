"""Cancelling and rerunning all jobs that a filter matches, a bounded number a call."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

import structlog

from app.core import audit
from app.core.batches.bulk import BulkOutcome, BulkPlan, apply_cancel, begin_rerun, end_rerun
from app.core.job_lists import JobLists
from app.core.jobs import Jobs
from app.db.engine import Database
from app.domain.audit import Action, Actor
from app.domain.errors import ForbiddenError, IdempotencyInProgressError, InvalidError, JobBusyError, JobtrackError
from app.domain.idempotency import Done, Idempotency
from app.domain.job import Created
from app.domain.job_filter import JobFilter, JobIdPage
from app.domain.principal import Principal
from app.domain.states import RERUNNABLE, JobEvent, JobState, sources_of
from app.live.change_feed import Change

log = structlog.get_logger(__name__)

MOST_CANCELS: Final = 1_000
MOST_RERUNS: Final = 100
"""A rerun copies items and is a transaction of its own, so that one with a million of them delays no other."""


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
        idempotency: Idempotency | None = None,
    ) -> Done[BulkOutcome]:
        """Request a cancel of up to `limit` live jobs; those already being cancelled are not counted."""
        sources = sources_of(JobEvent.CANCEL) - {JobState.CANCELLING}
        page = await self._matching(actor.principal, job_filter, sources, before=before, limit=min(limit, MOST_CANCELS))
        plan = BulkPlan.of(page, dry_run=dry_run)
        if not plan.job_ids and idempotency is None:
            return Done(plan.outcome(0))
        try:
            done, changes = await self._database.slow(actor.principal.project_id).write(
                apply_cancel, actor, job_filter, plan, idempotency
            )
        except IdempotencyInProgressError:
            # Its first call held the jobs, which were left out as busy. It has committed by now: this finds its record.
            done, changes = await self._database.slow(actor.principal.project_id).write(
                apply_cancel, actor, job_filter, plan, idempotency
            )
        self._announce(changes)
        self._count_busy("bulk cancel", 0 if done.replayed else done.value.busy)
        return done

    async def rerun(
        self,
        actor: Actor,
        job_filter: JobFilter,
        *,
        only_failed_items: bool = False,
        before: UUID | None = None,
        limit: int = MOST_RERUNS,
        dry_run: bool = False,
        idempotency: Idempotency | None = None,
    ) -> Done[BulkOutcome]:
        """Rerun up to `limit` ended jobs, each in a transaction of its own.

        A job is counted as matched and not as changed if it has a live rerun, has nothing to rerun, was deleted in the
        meantime or fails for a reason of its own.
        """
        # Counting copies nothing, so that it may look at more of them.
        most = MOST_CANCELS if dry_run else MOST_RERUNS
        page = await self._matching(actor.principal, job_filter, RERUNNABLE, before=before, limit=min(limit, most))
        plan = BulkPlan.of(page, dry_run=dry_run)
        if idempotency is None:
            return Done(await self._rerun_all(actor, job_filter, plan, None, only_failed_items=only_failed_items))
        project_id = actor.principal.project_id
        begun, earlier = await self._database.slow(project_id).write(begin_rerun, project_id, idempotency, plan)
        if earlier is not None:
            return Done(earlier, replayed=True)
        # A repeat that finds no result continues with the jobs of the first call, which may have been cut off. What the
        # first call has rerun, or reruns at this moment, is not rerun again: each job's rerun has a key of its own. It
        # waits for what is locked, for it may be the first call that holds it.
        outcome = await self._rerun_all(
            actor,
            job_filter,
            begun.value,
            idempotency,
            only_failed_items=only_failed_items,
            skip_busy=not begun.replayed,
        )
        first = await self._database.slow(project_id).write(end_rerun, project_id, idempotency, outcome)
        return Done(first, begun.replayed)

    async def _rerun_all(
        self,
        actor: Actor,
        job_filter: JobFilter,
        plan: BulkPlan,
        idempotency: Idempotency | None,
        *,
        only_failed_items: bool,
        skip_busy: bool = True,
    ) -> BulkOutcome:
        if not plan.job_ids:
            return plan.outcome(0)
        counts = {"matched": plan.matched, "changed": 0}
        changed = busy = 0
        try:
            for job_id in plan.job_ids:
                key = idempotency and idempotency.of_row(job_id)
                try:
                    created = await self._rerun_one(
                        actor.principal, job_id, key, only_failed_items=only_failed_items, skip_busy=skip_busy
                    )
                except JobBusyError:
                    busy += 1
                    continue
                changed += created is not None
                counts["changed"] += created is not None and not created.replayed
        finally:
            # Each is a transaction of its own, so what was committed before an error is recorded too.
            audit.write_line(audit.jobs_changed(Action.JOBS_RERUN_MANY, actor, job_filter, counts))
        self._count_busy("bulk rerun", busy)
        return plan.outcome(changed, busy)

    async def _rerun_one(
        self, principal: Principal, job_id: UUID, key: Idempotency | None, *, only_failed_items: bool, skip_busy: bool
    ) -> Created | None:
        """Rerun a job; returns the new one, or None if it cannot be rerun."""
        try:
            return await self._jobs.rerun(
                principal.project_id,
                job_id,
                only_failed_items=only_failed_items,
                idempotency=key,
                queues=principal.queues,
                if_none_is_live=True,
                skip_busy=skip_busy,
            )
        except JobtrackError as error:
            if error.retryable:
                raise
            return None
        except Exception:
            # An unexpected error of one job must not keep the call from the jobs after it.
            log.exception("a job of a call about many could not be rerun", job_id=str(job_id))
            return None

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
