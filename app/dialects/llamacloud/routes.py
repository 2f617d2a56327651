"""LlamaCloud's six batch operations, at the vendor's path."""

import json
from collections.abc import AsyncIterator, Mapping
from itertools import takewhile
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from app.dialects.llamacloud import translate, wire
from app.dialects.llamacloud.create_wire import BatchJobCreate
from app.dialects.llamacloud.declared import ACCEPTED, ERRORS, KEY_ERRORS, NAMESPACE
from app.domain.errors import AlreadyTerminalError, InvalidError, NotFoundError
from app.domain.field_error import FieldError
from app.domain.ids import parse_id
from app.domain.item import Item, ItemStatus
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.body import BodyRules
from app.web.deps import Caller, CoreServices, Services
from app.web.detail_errors import declared, render_detail
from app.web.idempotency import KEY_PARAMETER, IdempotencyKey, replayed_headers
from app.web.large import rendered, size_of
from app.web.params import check_queue, job_id_of
from app.web.routing import guarded_route

BASE = "/api/v1/beta/batch-processing"
PREFIXES = (BASE,)
MOST_BATCHES = 1_000
"""How many of the newest batches are searched for an item by the id that the client assigned."""
MOST_RESULTS = 20
"""How many results of an item are returned, newest first."""
MAX_INT = 2_147_483_647
JobId = Annotated[str, Path(examples=[wire.EXAMPLE_ID])]
Limit = Annotated[int, Query(ge=1, le=1000, description="Maximum number of entries in a page.")]
Offset = Annotated[int, Query(ge=0, le=MAX_INT, description="Number of entries to skip.")]

router = APIRouter(
    # Scripts send JSON without a JSON content type; the vendor's framework accepts it.
    route_class=guarded_route(render=render_detail, body=BodyRules(json_type_required=False)),
    tags=["Batch processing"],
)


def _answer(model: BaseModel, status: int = 200, *, replayed: bool = False) -> Response:
    return Response(model.model_dump_json(), status, replayed_headers(replayed), "application/json")


@router.post(
    BASE,
    operation_id="llamacloud_batch_create",
    summary="Create a batch job",
    status_code=201,
    response_model=wire.BatchJob,
    responses=declared(ERRORS | KEY_ERRORS),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={"parameters": [*ACCEPTED, KEY_PARAMETER]},
)
async def create(
    body: Annotated[BatchJobCreate, Body()],
    services: CoreServices,
    caller: Caller,
    key: IdempotencyKey,
    namespace: Annotated[
        str | None,
        Header(alias=translate.NAMESPACE, max_length=255, description="Stored as a label of the job."),
    ] = None,
) -> Response:
    """Create a batch job for a directory or for the listed items. Workers process jobs of type `parse` or `classify`.

    A configuration that contains credentials becomes the job's input, which only the worker can read and which is
    deleted when the job ends.
    """
    if not body.directory_id and not body.item_ids:
        message = "Either directory_id or item_ids must be provided."
        raise InvalidError([FieldError("/item_ids", "missing", message)])
    job = translate.new_job(body, namespace)
    check_queue(caller, job.queue)
    request = body.model_dump(mode="json", exclude_unset=True)
    if request == job.payload:
        created = await services.jobs.create(caller.project_id, job, idempotency=key)
    else:
        created = await services.inputs.create_job(
            caller.project_id,
            job,
            _as_json(request),
            content_type="application/json",
            sensitive=True,
            idempotency=key,
        )
    return _answer(translate.batch_job(created.job), 201, replayed=created.replayed)


async def _as_json(document: Mapping[str, Any]) -> AsyncIterator[bytes]:
    yield json.dumps(document).encode()


@router.get(
    BASE,
    operation_id="llamacloud_batch_list",
    summary="List batch jobs",
    response_model=wire.BatchJobList,
    responses=declared(ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": ACCEPTED},
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
    """List the project's jobs, newest first. A `status` or `job_type` selects the jobs that are shown with it."""
    job_filter = translate.job_filter(status, job_type, directory_id)
    page = await services.lists.page_by_offset(
        caller.project_id, job_filter, offset=offset, limit=limit, may_be_short=True
    )
    return _answer(translate.job_list(page))


@router.get(
    f"{BASE}/{{job_id}}",
    operation_id="llamacloud_batch_get_status",
    summary="Get batch job status",
    response_model=wire.BatchJobStatus,
    responses=declared(ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": ACCEPTED},
)
async def get_status(job_id: JobId, services: CoreServices, caller: Caller) -> Response:
    """Get detailed status of a batch processing job."""
    return _answer(translate.job_status(await services.jobs.get(caller.project_id, job_id_of(job_id))))


@router.post(
    f"{BASE}/{{job_id}}/cancel",
    operation_id="llamacloud_batch_cancel",
    summary="Cancel a batch job",
    response_model=wire.BatchCancelled,
    responses=declared(ERRORS | KEY_ERRORS),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={"parameters": [*ACCEPTED, NAMESPACE, KEY_PARAMETER]},
)
async def cancel(
    job_id: JobId,
    services: CoreServices,
    caller: Caller,
    key: IdempotencyKey,
    body: Annotated[wire.CancelRequest | None, Body()] = None,
) -> Response:
    """Cancel a job. The operation is idempotent, and a job that has ended is left unchanged: the response is never 409,
    which the vendor's client would retry five times.
    """
    reason = None if body is None else body.reason
    try:
        job, replayed = await services.jobs.cancel(
            caller.project_id,
            job_id_of(job_id),
            by=caller.name,
            reason=reason,
            queues=caller.queues,
            idempotency=key,
        )
    except AlreadyTerminalError as ended:
        if ended.job is None:
            raise
        job, replayed = ended.job, False
    return _answer(translate.cancelled(job), replayed=replayed)


@router.get(
    f"{BASE}/{{job_id}}/items",
    operation_id="llamacloud_batch_items_list",
    summary="List the items of a batch job",
    response_model=wire.BatchItemList,
    responses=declared(ERRORS),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": ACCEPTED},
)
async def list_items(
    job_id: JobId,
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
    response_model=wire.ItemProcessingResults,
    responses=declared(ERRORS | {404: "Item not found."}),
    dependencies=[requires(Scope.READ)],
    openapi_extra={"parameters": ACCEPTED},
)
async def get_processing_results(
    item_id: Annotated[str, Path(examples=[wire.EXAMPLE_ITEM])],
    services: CoreServices,
    caller: Caller,
    job_type: Annotated[wire.JobType | None, Query()] = None,
) -> Response:
    """Get the results of a file: for `<job id>.<key>` the result of that job, for an id assigned at creation the newest
    20 results among the newest 1,000 batches, or as many as one response holds (16 MiB by default).
    """
    items = await _find_item(services, caller, item_id)
    if not items:
        raise NotFoundError("There is no such item.")
    completed = [job_id for job_id, item in items.items() if item.status is ItemStatus.COMPLETED][:MOST_RESULTS]
    jobs = await services.jobs.get_with_documents(caller.project_id, completed, translate.CONFIGURATION)
    # The answer has neither cursor nor mark: it ends where it is full, and what it shows is whole.
    shown = list(takewhile(lambda job: job.documents, jobs.values()))
    results = translate.processing_results(item_id, items.values(), [(job, items[job.id]) for job in shown], job_type)
    return Response(await rendered(size_of(shown), results.model_dump_json), media_type="application/json")


async def _find_item(services: Services, caller: Principal, item_id: str) -> dict[UUID, Item]:
    split = translate.split_item_id(item_id)
    job_id = None if split is None else parse_id(split[0])
    if split is not None and job_id is not None:
        exact = await services.items.by_key(caller.project_id, [job_id], split[1])
        if exact:
            return exact
    batches = JobFilter(labels=(translate.ORIGIN,))
    page = await services.lists.page_of_ids(caller.project_id, batches, before=None, limit=MOST_BATCHES)
    return await services.items.by_key(caller.project_id, page.job_ids, item_id)
