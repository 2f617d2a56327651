"""Cancelling and rerunning many jobs: those that were selected, or all that match, counted before they are changed.

All that match are changed in steps of what one call of the API changes. The dialog asks for the next step until there
is none; closing it stops.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Query, Request, Response

from app.core.batches.bulk import BulkOutcome
from app.core.bulk import MOST_CANCELS, MOST_RERUNS
from app.dashboard.formats import now
from app.dashboard.forms import read_form, text_of
from app.dashboard.jobs.filter_text import MAX_TEXT, parse, write
from app.dashboard.jobs.steps import WORDS, ChangeKind, Step, read_step
from app.dashboard.jobs.views import PAGE
from app.dashboard.site import page, pages_router
from app.domain.audit import Actor
from app.domain.errors import InvalidError, JobtrackError
from app.domain.idempotency import Done
from app.domain.ids import new_id, new_token, parse_id
from app.domain.job_filter import JobFilter
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Acting, CoreServices, Services
from app.web.errors import status_of

jobs_changes = pages_router()

MOST_COUNTED: Final = 10_000
COUNTS: Final = 100
"""Dry runs of one count at most; of a sparse filter each examines 5,000 jobs, in some 10 ms."""
EMPTY_CALLS: Final = 20
"""So many calls that match nothing are one step."""
_MOST_WRITTEN: Final = 2 * MAX_TEXT
"""A filter that is written out is a little longer than what was typed."""


@jobs_changes.get("/ui/jobs/change", dependencies=[requires(Scope.SUBMIT)])
async def confirm(
    request: Request,
    actor: Acting,
    services: CoreServices,
    kind: ChangeKind,
    filter_text: Annotated[str, Query(alias="filter")] = "",
    job: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Ask whether the selected jobs, or all that match, shall be changed; and say how many they are."""
    if job:
        return page(request, "jobs/selected.html", kind=kind, words=WORDS[kind], jobs=_ids(job), operation=new_token())
    query = parse(filter_text, now())
    if query.by_id:
        raise InvalidError("Select the job itself.")
    step = Step(write(query.conditions), new_id(), new_token(), 0, is_whole=False)
    step = await _count(services, actor, kind, query.conditions, step)
    return page(request, "jobs/all.html", kind=kind, words=WORDS[kind], step=step)


async def _count(services: Services, actor: Actor, kind: ChangeKind, conditions: JobFilter, step: Step) -> Step:
    """Count what matches, as far as a bounded number of dry runs reaches."""
    before, total = step.before, 0
    for _ in range(COUNTS):
        outcome = (await _change(services, actor, kind, conditions, replace(step, before=before), dry_run=True)).value
        total += outcome.matched
        if outcome.next_before is None:
            return replace(step, total=total, is_whole=True)
        if total >= MOST_COUNTED:
            break
        before = outcome.next_before
    return replace(step, total=total)


@jobs_changes.post("/ui/jobs/cancel", dependencies=[requires(Scope.SUBMIT)])
async def cancel(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Cancel the selected jobs, or the next of all that match."""
    return await _post(request, actor, services, ChangeKind.CANCEL)


@jobs_changes.post("/ui/jobs/rerun", dependencies=[requires(Scope.SUBMIT)])
async def rerun(request: Request, actor: Acting, services: CoreServices) -> Response:
    """Rerun the selected jobs, or the next of all that match."""
    return await _post(request, actor, services, ChangeKind.RERUN)


async def _post(request: Request, actor: Actor, services: Services, kind: ChangeKind) -> Response:
    form = await read_form(request)
    shared: dict[str, Any] = {"kind": kind, "words": WORDS[kind]}
    if "job" in form:
        only_failed = bool(text_of(form, "only_failed"))
        operation = parse_id(text_of(form, "operation")) or new_token()
        step = Step("", operation, operation, 0, is_whole=True, only_failed=only_failed)
        changed, refusals = await _change_each(services, actor, kind, _ids(form["job"]), step)
        return page(request, "jobs/changed.html", changed=changed, refusals=refusals, **shared)
    step = read_step(form)
    conditions = parse(step.filter, now(), max_text=_MOST_WRITTEN).conditions
    for _ in range(EMPTY_CALLS):
        try:
            outcome = (await _change(services, actor, kind, conditions, step)).value
        except JobtrackError as error:
            # In the dialog, where the button to go on is: what the steps before have changed stays changed.
            return page(request, "jobs/step.html", status_of(error), step=step, error=error, **shared)
        step = step.after(outcome)
        if outcome.next_before is None:
            return page(request, "jobs/all_changed.html", step=step, **shared)
        if outcome.matched:
            break
    return page(request, "jobs/step.html", step=step, error=None, **shared)


async def _change(
    services: Services, actor: Actor, kind: ChangeKind, conditions: JobFilter, step: Step, *, dry_run: bool = False
) -> Done[BulkOutcome]:
    key = None if dry_run else step.key(kind, actor.principal.queues)
    if kind is ChangeKind.CANCEL:
        return await services.bulk.cancel(
            actor, conditions, before=step.before, limit=MOST_CANCELS, dry_run=dry_run, idempotency=key
        )
    return await services.bulk.rerun(
        actor,
        conditions,
        only_failed_items=step.only_failed,
        before=step.before,
        limit=MOST_CANCELS if dry_run else MOST_RERUNS,
        dry_run=dry_run,
        idempotency=key,
    )


async def _change_each(
    services: Services, actor: Actor, kind: ChangeKind, job_ids: Sequence[UUID], step: Step
) -> tuple[int, Counter[str]]:
    """Change jobs one by one; returns how many were, and why how many were not."""
    caller, changed, refusals = actor.principal, 0, Counter[str]()
    key = step.key(kind, caller.queues)
    for place, job_id in enumerate(job_ids):
        try:
            if kind is ChangeKind.CANCEL:
                await services.jobs.cancel(caller.project_id, job_id, by=caller.name, queues=caller.queues)
            else:
                await services.jobs.rerun(
                    caller.project_id,
                    job_id,
                    only_failed_items=step.only_failed,
                    idempotency=key.of_row(job_id),
                    queues=caller.queues,
                    if_none_is_live=True,
                )
            changed += 1
        except JobtrackError as error:
            if error.retryable:
                refusals[error.message] += len(job_ids) - place
                break
            refusals[error.message] += 1
    return changed, refusals


def _ids(texts: Sequence[str]) -> list[UUID]:
    """Read the ids of the selected jobs."""
    if len(texts) > PAGE:
        raise InvalidError(f"Select at most {PAGE} jobs.")
    found = [parse_id(text) for text in dict.fromkeys(texts)]
    return [job_id for job_id in found if job_id is not None]
