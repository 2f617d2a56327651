"""LlamaCloud's six batch calls, at the vendor's path."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Query
from pydantic import BaseModel
from starlette.responses import Response

from app.dialects.llamacloud import translate, wire
from app.domain.errors import AlreadyTerminalError, FieldError, InvalidError, NotFoundError
from app.domain.ids import parse_id
from app.domain.item import Item, ItemStatus
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.body import BodyRules
from app.web.deps import Caller, CoreServices, Services
from app.web.detail_errors import declared, render_detail
from app.web.params import check_queue, job_id_of
from app.web.routing import guarded_route

BASE = "/api/v1/beta/batch-processing"
PREFIXES = (BASE,)
MOST_BATCHES = 1_000
"""Among how many of the newest batches an item is looked for by an id of the client's own."""

MOST_RESULTS = 20
"""How many results of one item are given, the newest."""
MAX_INT = 2_147_483_647
_ERRORS = {
    400: "The body is not JSON.",
    401: "The key is missing or wrong.",
    403: "The key lacks the right.",
    404: "There is no such job.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is compressed.",
    422: "The request is not valid.",
    429: "Too many wrong keys from this address.",
    500: "Something went wrong here.",
    503: "The database cannot be reached just now.",
}
_ACCEPTED: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "schema": {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]},
        "description": "Accepted; it changes nothing: the key says which project this is.",
    }
    for name in ("project_id", "organization_id")
]
_NAMESPACE: dict[str, Any] = {
    "name": translate.NAMESPACE,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Accepted; it changes nothing.",
}

Limit = Annotated[int, Query(ge=1, le=1000, description="The most entries of a page.")]
Offset = Annotated[int, Query(ge=0, le=MAX_INT, description="How many entries to leave out.")]

router = APIRouter(
    # Scripts send JSON without saying so; the vendor's framework reads it all the same.
    route_class=guarded_route(render=render_detail, body=BodyRules(json_type_required=False)),
    tags=["Batch processing"],
)


def _answer(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


@router.post(
    BASE,
    operation_id="llamacloud_batch_create",
    summary="Create a batch job",
    status_code=201,
    response_model=wire.BatchJob,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={"parameters": _ACCEPTED},
)
async def create(
    asked: Annotated[wire.BatchJobCreate, Body()],
    services: CoreServices,
    caller: Caller,
    namespace: Annotated[
        str | None,
        Header(alias=translate.NAMESPACE, max_length=255, description="Kept as a label of the job."),
    ] = None,
) -> Response:
    """Create a batch job for a directory or for the items listed; a worker that takes `parse` or `classify` does it.

    A configuration that holds credentials becomes the job's input, which only the worker reads and which is dropped
    when the job has ended.
    """
    if not asked.directory_id and not asked.item_ids:
        sentence = "Either directory_id or item_ids must be provided."
        raise InvalidError(sentence, (FieldError("/item_ids", "missing", sentence),))
    job = translate.new_job(asked, namespace)
    check_queue(caller, job.queue)
    whole = asked.model_dump(mode="json", exclude_unset=True)
    if whole == job.payload:
        created = await services.jobs.create(caller.project_id, job)
    else:
        created = await services.inputs.create_job(
            caller.project_id, job, _once(whole), content_type="application/json", sensitive=True
        )
    return _answer(translate.batch_job(created.job), 201)


async def _once(document: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield json.dumps(document).encode()


@router.get(
    BASE,
    operation_id="llamacloud_batch_list",
    summary="List batch jobs",
    response_model=wire.BatchJobList,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": _ACCEPTED},
)
async def list_jobs(
    services: CoreServices,
    caller: Caller,
    directory_id: Annotated[str | None, Query(max_length=255)] = None,
    job_type: Annotated[wire.JobType | None, Query()] = None,
    status: Annotated[wire.Status | None, Query()] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Response:
    """List the project's jobs, newest first. The conditions select what is shown under their words."""
    wanted = translate.job_filter(status, job_type, directory_id)
    page = await services.lists.page_by_offset(caller.project_id, wanted, offset=offset, limit=limit)
    return _answer(translate.job_list(page))


@router.get(
    f"{BASE}/{{job_id}}",
    operation_id="llamacloud_batch_get_status",
    summary="Get batch job status",
    response_model=wire.BatchJobStatus,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": _ACCEPTED},
)
async def get_status(job_id: str, services: CoreServices, caller: Caller) -> Response:
    """Get detailed status of a batch processing job."""
    return _answer(translate.job_status(await services.jobs.get(caller.project_id, job_id_of(job_id))))


@router.post(
    f"{BASE}/{{job_id}}/cancel",
    operation_id="llamacloud_batch_cancel",
    summary="Cancel a batch job",
    response_model=wire.BatchCancelled,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={"parameters": [*_ACCEPTED, _NAMESPACE]},
)
async def cancel(
    job_id: str,
    services: CoreServices,
    caller: Caller,
    asked: Annotated[wire.CancelRequest | None, Body()] = None,
) -> Response:
    """Cancel a job. Repeating it is harmless, and a job that has ended stays as it is: never a 409, which the vendor's
    client would send again five times.
    """
    reason = None if asked is None else asked.reason
    try:
        job = await services.jobs.cancel(
            caller.project_id, job_id_of(job_id), by=caller.name, reason=reason, queues=caller.queues
        )
    except AlreadyTerminalError as ended:
        if ended.job is None:
            raise
        job = ended.job
    return _answer(translate.cancelled(job))


@router.get(
    f"{BASE}/{{job_id}}/items",
    operation_id="llamacloud_batch_items_list",
    summary="List the items of a batch job",
    response_model=wire.BatchItemList,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": _ACCEPTED},
)
async def list_items(
    job_id: str,
    services: CoreServices,
    caller: Caller,
    status: Annotated[wire.ItemStatus | None, Query()] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Response:
    """List a job's files, in the order in which they were first reported."""
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    page = await services.items.page_by_offset(
        caller.project_id, job.id, offset=offset, limit=limit, status=translate.item_status(status)
    )
    return _answer(translate.item_list(job, page))


@router.get(
    f"{BASE}/items/{{item_id:path}}/processing-results",
    operation_id="llamacloud_batch_items_get_processing_results",
    summary="Get the processing results of an item",
    response_model=wire.ProcessingResults,
    responses=declared(_ERRORS | {404: "There is no such item."}),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": _ACCEPTED},
)
async def get_processing_results(
    item_id: str,
    services: CoreServices,
    caller: Caller,
    job_type: Annotated[wire.JobType | None, Query()] = None,
) -> Response:
    """Get what jobs made of a file: of `<job id>.<key>` that job alone, of an id given at creation the newest 20
    results among the newest 1,000 batches.
    """
    found = await _find_item(services, caller, item_id)
    if not found:
        raise NotFoundError("There is no such item.")
    # The configurations stand in payloads, which may be large: no more of them than fit into memory.
    done = [job_id for job_id, item in found.items() if item.status is ItemStatus.COMPLETED][:MOST_RESULTS]
    jobs = await services.jobs.get_many(caller.project_id, done, documents=True)
    pairs = [(jobs[job_id], found[job_id]) for job_id in done if job_id in jobs]
    return _answer(translate.processing_results(item_id, found.values(), pairs, job_type))


async def _find_item(services: Services, caller: Principal, item_id: str) -> dict[UUID, Item]:
    split = translate.split_item_id(item_id)
    job_id = None if split is None else parse_id(split[0])
    if split is not None and job_id is not None:
        exact = await services.items.by_key(caller.project_id, [job_id], split[1])
        if exact:
            return exact
    batches = await services.lists.page(caller.project_id, JobFilter(labels=(translate.ORIGIN,)), limit=MOST_BATCHES)
    return await services.items.by_key(caller.project_id, [job.id for job in batches.jobs], item_id)
