"""Docent's ingestion operations, under `/rest`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app.dialects.docent import translate, wire
from app.domain.errors import JobtrackError, MalformedError, NotFoundError, UnauthorizedError
from app.domain.idempotency import ContentDigest
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.body import BodyRules
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import declared, render_detail
from app.web.idempotency import KEY_PARAMETER, IdempotencyKey, replayed_headers
from app.web.params import check_queue, is_collection, job_id_of
from app.web.routing import guarded_route
from app.web.uploads import limited_stream

BASE = "/rest"
PREFIXES = (BASE,)
RESERVED: Final = frozenset({"api-keys", "create", "rubric"})
"""First segments of the vendor's other paths; they cannot be collection ids."""
MAX_COLLECTION_LENGTH: Final = 255
MOST_LISTED: Final = 1000
MAX_INT = 2_147_483_647
CollectionId = Annotated[str, Path(examples=[wire.EXAMPLE_COLLECTION])]
JobId = Annotated[str, Path(examples=[wire.EXAMPLE_ID])]

_ERRORS = {
    401: "The API key is missing or invalid.",
    403: "The API key lacks the required scope.",
    404: "Job not found.",
    429: "Too many invalid API keys from this address, or the key holds too much open.",
    500: "Internal error.",
    503: "The database is unavailable.",
}
_BODY_ERRORS = {
    400: "The request body is malformed.",
    408: "The request body arrived too slowly.",
    413: "The request body is too large.",
    415: "The content encoding is not supported.",
    422: "The request is invalid.",
}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary", "maxLength": wire.MAX_UPLOAD_BYTES}}
_ENCODING: dict[str, Any] = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": "^((x-)?gzip|identity)?$"},
    "description": "Compression of the body: `gzip` or `identity`. The size limit is of the decompressed body as well.",
}


def render(request: Request, error: JobtrackError) -> Response:
    """Render an error in the vendor's format; for a missing or invalid key the message is the vendor's single word."""
    if isinstance(error, UnauthorizedError):
        return render_detail(request, UnauthorizedError("Unauthorized"))
    return render_detail(request, error)


def collection_of(text: str) -> str:
    """Return a collection id. Any text is accepted except the vendor's reserved words."""
    if text in RESERVED or len(text) > MAX_COLLECTION_LENGTH or not is_collection(text):
        raise NotFoundError("There is nothing at this path.")
    return text


router = APIRouter(
    # The vendor's client does not always send a JSON content type.
    route_class=guarded_route(render=render, body=BodyRules(json_type_required=False)),
    tags=["Ingestion"],
)


def _answer(model: BaseModel, status: int = 200, *, replayed: bool = False) -> Response:
    return Response(model.model_dump_json(), status, replayed_headers(replayed), "application/json")


@router.get(
    f"{BASE}/api-keys/test",
    operation_id="docent_api_keys_test",
    summary="Test an API key",
    response_model=wire.KeyTest,
    responses=declared(_ERRORS | {404: "No such path."}),
    dependencies=[requires(Scope.READ, Scope.SUBMIT, Scope.WORK)],
)
async def test_key(caller: Caller) -> Response:
    """Confirm that the API key is valid. The vendor's client calls this first."""
    return _answer(translate.key_test(caller))


@router.post(
    f"{BASE}/create",
    operation_id="docent_collections_create",
    summary="Create a collection",
    response_model=wire.CollectionCreated,
    responses=declared(_ERRORS | _BODY_ERRORS | {404: "No such path."}),
    dependencies=[requires(Scope.SUBMIT)],
)
async def create_collection(body: Annotated[wire.CollectionCreate, Body()]) -> Response:
    """Return a collection id for uploads. Nothing is stored: any id is accepted, and the name is ignored."""
    collection_id = str(uuid4()) if body.collection_id is None else collection_of(body.collection_id)
    return _answer(wire.CollectionCreated(collection_id=collection_id))


@router.post(
    f"{BASE}/{{collection_id}}/agent_runs",
    operation_id="docent_agent_runs_create",
    summary="Upload agent runs",
    status_code=202,
    response_model=wire.Enqueued,
    responses=declared(_ERRORS | _BODY_ERRORS | {409: "A request with this Idempotency-Key is still in progress."}),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={
        "parameters": [_ENCODING, KEY_PARAMETER],
        "requestBody": {
            "required": True,
            "description": (
                'Up to 100 MiB, also after decompression: `{"agent_runs": [...]}`. It is not parsed here; errors in '
                "its content fail the job. Its `Content-Type` may be any."
            ),
            "content": {"application/octet-stream": _BYTES},
        },
    },
)
async def upload(
    collection_id: CollectionId, request: Request, services: CoreServices, caller: Caller, key: IdempotencyKey
) -> Response:
    """Store an upload of any content type as the input of a new job of type `agent_run_ingest_job`.

    The worker that claims the job reads the input at `GET /v1/jobs/{id}/input`.
    """
    job = translate.new_job(collection_of(collection_id))
    check_queue(caller, job.queue)
    pieces = limited_stream(request, wire.MAX_UPLOAD_BYTES, gzip=True)
    created = await services.inputs.create_job(
        caller.project_id,
        job,
        _not_empty(pieces),
        content_type="application/json",
        max_bytes=wire.MAX_UPLOAD_BYTES,
        idempotency=key,
        content=ContentDigest(),
    )
    return _answer(translate.enqueued(created.job, collection_id), 202, replayed=created.replayed)


async def _not_empty(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of an upload unchanged; raise if it is empty."""
    empty = True
    async for piece in pieces:
        empty = False
        yield piece
    if empty:
        raise MalformedError("The body is empty.")


@router.get(
    f"{BASE}/{{collection_id}}/agent_runs/jobs/{{job_id}}",
    operation_id="docent_agent_run_jobs_get",
    summary="Get the status of an ingestion job",
    response_model=wire.JobStatus,
    responses=declared(_ERRORS),
    dependencies=[requires(Scope.READ)],
)
async def get_job(collection_id: CollectionId, job_id: JobId, services: CoreServices, caller: Caller) -> Response:
    """Get the status of a job in this collection or without a collection."""
    collection_of(collection_id)
    job = await services.jobs.get(caller.project_id, job_id_of(job_id))
    if not translate.visible(job, collection_id):
        raise NotFoundError("There is no such job.")
    return _answer(translate.job_status(job))


@router.post(
    f"{BASE}/{{collection_id}}/agent_runs/jobs/batch_status",
    operation_id="docent_agent_run_jobs_batch_status",
    summary="Get the status of up to 100 ingestion jobs",
    response_model=wire.BatchStatus,
    responses=declared(_ERRORS | _BODY_ERRORS),
    dependencies=[requires(Scope.READ)],
)
async def batch_status(
    collection_id: CollectionId,
    body: Annotated[wire.BatchStatusRequest, Body()],
    services: CoreServices,
    caller: Caller,
) -> Response:
    """Get the status of jobs. Unknown ids and jobs of other collections are omitted; each job is returned once."""
    collection_of(collection_id)
    job_ids = [job_id for text in dict.fromkeys(body.job_ids) if (job_id := parse_id(text)) is not None]
    jobs = await services.jobs.get_many(caller.project_id, job_ids)
    return _answer(translate.batch_status(jobs.values(), collection_id))


@router.get(
    f"{BASE}/{{collection_id}}/agent_run_ingest_jobs",
    operation_id="docent_agent_run_jobs_list",
    summary="List ingestion jobs",
    response_model=wire.JobList,
    responses=declared(_ERRORS | {422: "The request is invalid."}),
    dependencies=[requires(Scope.READ)],
)
async def list_jobs(
    collection_id: CollectionId,
    services: CoreServices,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_INT, description="Maximum number of jobs; capped at 1,000.")] = 100,
) -> Response:
    """List the newest jobs in this collection or without a collection, among the project's newest 10,000."""
    job_filter = JobFilter(collection=collection_of(collection_id), or_no_collection=True)
    page = await services.lists.page_by_offset(caller.project_id, job_filter, offset=0, limit=min(limit, MOST_LISTED))
    return _answer(translate.job_list(page.jobs))
