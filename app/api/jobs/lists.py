"""Lists of jobs, and the calls about all jobs that a filter matches."""

from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Query, Request, Response

from app.api.jobs.filters import DEFAULT_LIMIT, BulkCancelIn, BulkIn, BulkRerunIn, ListJobsQuery, bound_of
from app.api.jobs.wire import BulkResult, JobList
from app.api.responses import json_response
from app.api.routes import problems, router
from app.api.translate import job_document
from app.core.bulk import BulkOutcome
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import read_id_cursor, write_cursor
from app.web.deps import Acting, CoreServices

lists = router("Jobs")
MAX_LIMIT = 500

_LINK = {"Link": {"description": '`rel="next"`: the next page.', "schema": {"type": "string"}}}


@lists.get(
    "/jobs",
    operation_id="jobs_list",
    summary="List jobs, newest first",
    response_model=JobList,
    responses={200: {"headers": _LINK, "description": "A page."}, **problems()},
)
async def list_jobs(
    request: Request,
    caller: Annotated[Principal, requires(Scope.READ)],
    services: CoreServices,
    query: Annotated[ListJobsQuery, Query()],
) -> Response:
    """Give the jobs that fulfil all conditions. A page may be short or empty; only a null cursor is the end."""
    conditions = query.to_domain()
    bound = bound_of(conditions)
    shown = {part.value for part in query.include or ()}
    page = await services.lists.page(
        caller.project_id,
        conditions,
        before=None if query.cursor is None else read_id_cursor(query.cursor, *bound),
        limit=min(query.limit, MAX_LIMIT) or DEFAULT_LIMIT,
        documents=bool(shown),
    )
    next_cursor = None if page.next_before is None else write_cursor(page.next_before.int, *bound)
    headers = {}
    if next_cursor is not None:
        url = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return json_response(
        {"jobs": [job_document(job, shown) for job in page.jobs], "next_cursor": next_cursor}, 200, headers
    )


_AFTER: dict[int | str, dict[str, Any]] = {
    200: {"description": "What this call did; call again with `next_cursor` until it is null."}
}


@lists.post(
    "/jobs/cancel",
    operation_id="jobs_cancel_many",
    summary="Cancel all jobs that a filter matches",
    response_model=BulkResult,
    responses={**_AFTER, **problems(body=True)},
    dependencies=[requires(Scope.SUBMIT)],
)
async def cancel_many(
    actor: Acting,
    services: CoreServices,
    how: Annotated[BulkCancelIn, FromBody(examples=[{"queue": ["imports"], "status": ["pending"], "dry_run": True}])],
) -> Response:
    """Cancel live jobs that match, the newest first, up to `limit` a call. Those that have ended do not match."""
    outcome = await services.bulk.cancel(
        actor,
        how.to_domain(),
        before=how.before(),
        limit=how.limit,
        dry_run=how.dry_run,
    )
    return _answer(outcome, how)


@lists.post(
    "/jobs/rerun",
    operation_id="jobs_rerun_many",
    summary="Rerun all jobs that a filter matches",
    response_model=BulkResult,
    responses={**_AFTER, **problems(body=True)},
    dependencies=[requires(Scope.SUBMIT)],
)
async def rerun_many(
    actor: Acting,
    services: CoreServices,
    how: Annotated[BulkRerunIn, FromBody(examples=[{"status": ["failed"], "type": ["index_folder"]}])],
) -> Response:
    """Rerun ended jobs that match, the newest first, up to `limit` a call. One with a live rerun is not rerun again."""
    outcome = await services.bulk.rerun(
        actor,
        how.to_domain(),
        only_failed_items=how.only_failed_items,
        before=how.before(),
        limit=how.limit,
        dry_run=how.dry_run,
    )
    return _answer(outcome, how)


def _answer(outcome: BulkOutcome, how: BulkIn) -> Response:
    bound = bound_of(how.to_domain())
    return json_response(
        {
            "matched": outcome.matched,
            "changed": outcome.changed,
            "dry_run": how.dry_run,
            "next_cursor": None if outcome.next_before is None else write_cursor(outcome.next_before.int, *bound),
        }
    )
