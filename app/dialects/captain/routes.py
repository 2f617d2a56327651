"""Captain's operations on jobs, under `/v2`: status, cancel and lists. Starting a job is in `indexing`."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from app.dialects.captain import list_wire, patience, translate, wire
from app.dialects.captain.indexing import BASE, ERRORS, KEY_ERRORS, ORGANIZATION, add_indexing
from app.domain.errors import AlreadyTerminalError
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.body import BodyRules
from app.web.cursors import MAX_ROW, CursorText, read_cursor, write_cursor
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import declared, render_detail
from app.web.idempotency import KEY_PARAMETER, IdempotencyKey, replayed_headers
from app.web.params import job_id_of
from app.web.routing import guarded_route

PREFIXES = (BASE,)
MAX_INT = 2_147_483_647

_MARK: dict[str, Any] = {
    patience.MARK: {
        "description": "`true`: the database is unavailable, and this is the vendor's placeholder.",
        "schema": {"type": "string"},
    }
}

router = APIRouter(
    # Scripts send JSON without a JSON content type; the vendor's framework accepts it.
    route_class=guarded_route(render=render_detail, body=BodyRules(json_type_required=False))
)


def _answer(model: BaseModel, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(model.model_dump_json(), code, headers, "application/json")


JobId = Annotated[str, Path(examples=[wire.EXAMPLE_ID])]


async def get_status(
    job_id: JobId,
    services: CoreServices,
    caller: Caller,
    files_limit: Annotated[int, Query(ge=1, le=500, description="Maximum number of files in a page.")] = 50,
    files_cursor: Annotated[
        CursorText | None, Query(description="`files_page.next_cursor` of the previous page.")
    ] = None,
) -> Response:
    """Get the status of an indexing job with detailed progress information and a page of its files.

    While the database is unavailable, a caller whose key this process has authenticated before gets the vendor's
    placeholder instead of a 5xx: `running`, no progress, 30 seconds.
    """
    parsed = job_id_of(job_id)
    bound = ("captain-files", job_id)
    after = 0 if files_cursor is None else read_cursor(files_cursor, *bound, most=MAX_ROW, pointer="?files_cursor")
    # Read the job first: the files of a job that has ended no longer change, so a terminal status is never returned
    # with unfinished files.
    job = await services.jobs.get(caller.project_id, parsed, documents=True)
    page = await services.items.page(caller.project_id, parsed, after=after, limit=files_limit)
    next_cursor = None if page.next_position is None else write_cursor(page.next_position, *bound)
    return _answer(translate.job_status(job, page.items, limit=files_limit, next_cursor=next_cursor))


router.add_api_route(
    f"{BASE}/jobs/{{job_id}}",
    get_status,
    methods=["GET"],
    operation_id="captain_jobs_get_status",
    summary="Get job status",
    response_model=wire.JobStatusResponseV2,
    responses={
        **declared(ERRORS),
        200: {
            "model": wire.JobStatusOrPlaceholder,
            "headers": _MARK,
            "description": "The job, or the placeholder.",
        },
    },
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": [ORGANIZATION]},
    tags=["Jobs"],
    # The deadline covers authentication too: a database that hangs counts as unavailable.
    route_class_override=guarded_route(render=patience.render, deadline_seconds=patience.PATIENCE_SECONDS),
)


async def cancel(job_id: JobId, services: CoreServices, caller: Caller, key: IdempotencyKey) -> Response:
    """Cancel a job. The operation is idempotent, and a job that has ended is left unchanged: the response is never 409,
    which the vendor's client would retry.
    """
    try:
        job, replayed = await services.jobs.cancel(
            caller.project_id, job_id_of(job_id), by=caller.name, queues=caller.queues, idempotency=key
        )
    except AlreadyTerminalError as ended:
        if ended.job is None:
            raise
        job, replayed = ended.job, False
    return _answer(translate.cancelled(job), headers=replayed_headers(replayed))


for _method, _path, _name in (
    ("POST", f"{BASE}/jobs/{{job_id}}/cancel", "captain_jobs_cancel"),
    ("DELETE", f"{BASE}/jobs/{{job_id}}", "captain_jobs_delete"),
):
    router.add_api_route(
        _path,
        cancel,
        methods=[_method],
        operation_id=_name,
        summary="Cancel a job",
        response_model=wire.JobCancelResponseV2,
        responses=declared(ERRORS | KEY_ERRORS),
        dependencies=[requires(Scope.SUBMIT)],
        openapi_extra={"parameters": [ORGANIZATION, KEY_PARAMETER]},
        tags=["Jobs"],
    )


@router.get(
    f"{BASE}/jobs",
    operation_id="captain_jobs_list",
    summary="List jobs",
    response_model=list_wire.JobListResponse,
    responses=declared(ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": [ORGANIZATION]},
    tags=["Jobs"],
)
async def list_jobs(
    services: CoreServices,
    caller: Caller,
    status: Annotated[list_wire.FilterStatus | None, Query()] = None,
    collection: Annotated[str | None, Query(max_length=255, description="Jobs without one match too.")] = None,
    sync_id: Annotated[str | None, Query(max_length=255, description="The label `sync_id`.")] = None,
    job_environment: Annotated[str | None, Query(max_length=255, description="The label `environment`.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_INT)] = 0,
) -> Response:
    """List the project's jobs, newest first."""
    job_filter = translate.job_filter(status, collection, sync_id, job_environment)
    page = await services.lists.page_by_offset(caller.project_id, job_filter, offset=offset, limit=limit)
    return _answer(translate.job_list(page, limit=limit, offset=offset))


add_indexing(router)
