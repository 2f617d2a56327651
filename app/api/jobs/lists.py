"""Lists of jobs, and bulk operations on all jobs that match a filter."""

from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Query, Request, Response
from pydantic_core import to_json

from app.api.examples import QUEUE
from app.api.jobs.filters import DEFAULT_LIMIT, BulkCancelIn, BulkIn, BulkRerunIn, ListJobsQuery, bound_of
from app.api.jobs.list_wire import JobList, ListIncluded
from app.api.jobs.translate import waiting_document
from app.api.jobs.wire import BulkResult
from app.api.responses import json_response
from app.api.routes import problems, router
from app.api.translate import included, job_document
from app.core.batches.bulk import BulkOutcome
from app.domain.idempotency import Done
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.cursors import read_id_cursor, write_cursor
from app.web.deps import Acting, CoreServices
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.large import list_body, rendered

lists = router("Jobs")
MAX_LIMIT = 500
MOST_EXPLAINED = 100

_LINK = {"Link": {"description": '`rel="next"`: URL of the next page.', "schema": {"type": "string"}}}


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
    """Return the jobs that match all conditions. A page may be short or empty; only a null cursor is the end.

    A page ends early where its jobs reach the size of an answer, 16 MiB by default.
    """
    conditions = query.to_domain()
    bound = bound_of(conditions)
    named = {part.value for part in query.include or ()}
    explained, shown = ListIncluded.WAITING in named, named - {ListIncluded.WAITING}
    most = MOST_EXPLAINED if explained else MAX_LIMIT
    page = await services.lists.page(
        caller.project_id,
        conditions,
        before=None if query.cursor is None else read_id_cursor(query.cursor, *bound),
        limit=min(query.limit or DEFAULT_LIMIT, most),
        include=included(shown),
    )
    waiting = await services.waiting.of(caller.project_id, [job.id for job in page.jobs]) if explained else {}
    next_cursor = None if page.next_before is None else write_cursor(page.next_before.int, *bound)
    headers = {}
    if next_cursor is not None:
        url = request.url.include_query_params(cursor=next_cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'

    def render() -> bytes:
        documents = (
            job_document(job, shown) | ({"waiting": waiting_document(waiting.get(job.id))} if explained else {})
            for job in page.jobs
        )
        return list_body("jobs", map(to_json, documents), next_cursor=next_cursor)

    return Response(await rendered(page.size, render), 200, headers, "application/json")


_AFTER: dict[int | str, dict[str, Any]] = {
    200: {"description": "Result of this call. Repeat with `next_cursor` until it is null."}
}


@lists.post(
    "/jobs/cancel",
    operation_id="jobs_cancel_many",
    summary="Cancel all jobs matching a filter",
    response_model=BulkResult,
    responses={**_AFTER, **problems(body=True)},
    dependencies=[requires(Scope.SUBMIT)],
)
async def cancel_many(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[BulkCancelIn, FromBody(examples=[{"queue": [QUEUE], "status": ["pending"], "dry_run": True}])],
) -> Response:
    """Cancel matching live jobs, newest first, up to `limit` per call. Terminal jobs do not match."""
    done = await services.bulk.cancel(
        actor,
        body.to_domain(),
        before=body.before(),
        limit=body.limit,
        dry_run=body.dry_run,
        idempotency=key,
    )
    return _answer(done, body)


@lists.post(
    "/jobs/rerun",
    operation_id="jobs_rerun_many",
    summary="Rerun all jobs matching a filter",
    response_model=BulkResult,
    responses={**_AFTER, **problems(body=True)},
    dependencies=[requires(Scope.SUBMIT)],
)
async def rerun_many(
    actor: Acting,
    services: CoreServices,
    key: IdempotencyKey,
    body: Annotated[BulkRerunIn, FromBody(examples=[{"queue": [QUEUE], "status": ["failed"], "dry_run": True}])],
) -> Response:
    """Rerun matching terminal jobs, newest first, up to `limit` per call. A job with a live rerun is skipped."""
    done = await services.bulk.rerun(
        actor,
        body.to_domain(),
        only_failed_items=body.only_failed_items,
        before=body.before(),
        limit=body.limit,
        dry_run=body.dry_run,
        idempotency=key,
    )
    return _answer(done, body)


def _answer(done: Done[BulkOutcome], body: BulkIn) -> Response:
    bound, outcome = bound_of(body.to_domain()), done.value
    return json_response(
        {
            "matched": outcome.matched,
            "changed": outcome.changed,
            "busy": outcome.busy,
            "dry_run": body.dry_run,
            "next_cursor": None if outcome.next_before is None else write_cursor(outcome.next_before.int, *bound),
        },
        200,
        replayed_headers(done.replayed),
    )
