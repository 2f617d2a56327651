"""Docent's ingestion calls, under `/rest`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app.dialects.docent import translate, wire
from app.domain.errors import JobtrackError, MalformedError, NotFoundError, UnauthorizedError
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.body import BodyRules
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import declared, render_detail
from app.web.params import check_queue, is_collection, job_id_of
from app.web.routing import guarded_route
from app.web.uploads import limited_stream

BASE = "/rest"
PREFIXES = (BASE,)
RESERVED: Final = frozenset({"api-keys", "create", "rubric"})
"""First steps of the vendor's other paths: no collection is called so."""
MAX_COLLECTION_LENGTH: Final = 255
MOST_LISTED: Final = 1000
MAX_INT = 2_147_483_647

_ERRORS = {
    401: "The key is missing or wrong.",
    403: "The key lacks the right.",
    404: "There is no such job.",
    429: "Too many wrong keys from this address.",
    500: "Something went wrong here.",
    503: "The database cannot be reached just now.",
}
_BODY_ERRORS = {
    400: "The body cannot be read.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is compressed in a way that is not taken.",
    422: "The request is not valid.",
}
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary", "maxLength": wire.MAX_UPLOAD_BYTES}}
_ENCODING: dict[str, Any] = {
    "name": "Content-Encoding",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "enum": ["gzip", "identity"]},
    "description": "How the body is compressed. What it inflates to is bounded as well.",
}


def render(request: Request, error: JobtrackError) -> Response:
    """Answer an error in the vendor's shape; of a key that is missing or wrong it says one word."""
    if isinstance(error, UnauthorizedError):
        return render_detail(request, UnauthorizedError("Unauthorized"))
    return render_detail(request, error)


def collection_of(text: str) -> str:
    """Read a collection's id: any text will do but the vendor's own words."""
    if text in RESERVED or len(text) > MAX_COLLECTION_LENGTH or not is_collection(text):
        raise NotFoundError("There is nothing at this path.")
    return text


router = APIRouter(
    # The vendor's client sends JSON that does not always say so.
    route_class=guarded_route(render=render, body=BodyRules(json_type_required=False)),
    tags=["Ingestion"],
)


def _answer(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


@router.get(
    f"{BASE}/api-keys/test",
    operation_id="docent_api_keys_test",
    summary="Test an API key",
    response_model=wire.KeyTest,
    responses=declared(_ERRORS | {404: "There is nothing at this path."}),
    dependencies=[requires(Scope.READ, Scope.SUBMIT, Scope.WORK)],
)
async def test_key(caller: Caller) -> Response:
    """Say that the key is good: what the vendor's client asks before anything else."""
    return _answer(translate.key_test(caller))


@router.post(
    f"{BASE}/create",
    operation_id="docent_collections_create",
    summary="Create a collection",
    response_model=wire.CollectionCreated,
    responses=declared(_ERRORS | _BODY_ERRORS | {404: "There is nothing at this path."}),
    dependencies=[requires(Scope.SUBMIT)],
)
async def create_collection(asked: Annotated[wire.CollectionCreate, Body()]) -> Response:
    """Give an id to upload to. Nothing is stored: any id is good, and what a collection is called is nobody's here."""
    collection_id = str(uuid4()) if asked.collection_id is None else collection_of(asked.collection_id)
    return _answer(wire.CollectionCreated(collection_id=collection_id))


@router.post(
    f"{BASE}/{{collection_id}}/agent_runs",
    operation_id="docent_agent_runs_create",
    summary="Upload agent runs",
    status_code=202,
    response_model=wire.Enqueued,
    responses=declared(_ERRORS | _BODY_ERRORS),
    dependencies=[requires(Scope.SUBMIT)],
    openapi_extra={
        "parameters": [_ENCODING],
        "requestBody": {
            "required": True,
            "description": (
                'Up to 100 MiB, also after inflating: `{"agent_runs": [...]}`. It is not parsed here; what is wrong '
                "with it fails the job."
            ),
            "content": {"*/*": _BYTES},
        },
    },
)
async def upload(collection_id: str, request: Request, services: CoreServices, caller: Caller) -> Response:
    """Take an upload, whatever its content type, as the input of a new job of type `agent_run_ingest_job`.

    The worker that claims the job reads it at `GET /v1/jobs/{id}/input`.
    """
    job = translate.new_job(collection_of(collection_id))
    check_queue(caller, job.queue)
    pieces = limited_stream(request, wire.MAX_UPLOAD_BYTES, gzip=True)
    created = await services.inputs.create_job(
        caller.project_id, job, _some(pieces), content_type="application/json", max_bytes=wire.MAX_UPLOAD_BYTES
    )
    return _answer(translate.enqueued(created.job, collection_id), 202)


async def _some(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Refuse an upload of nothing."""
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
async def get_job(collection_id: str, job_id: str, services: CoreServices, caller: Caller) -> Response:
    """Get the status of a job of this collection, or of none."""
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
    collection_id: str, asked: Annotated[wire.BatchStatusRequest, Body()], services: CoreServices, caller: Caller
) -> Response:
    """Get the status of jobs. Unknown ids, and jobs of other collections, are left out; each job appears once."""
    collection_of(collection_id)
    job_ids = [job_id for text in dict.fromkeys(asked.job_ids) if (job_id := parse_id(text)) is not None]
    found = await services.jobs.get_many(caller.project_id, job_ids)
    return _answer(translate.batch_status(found.values(), collection_id))


@router.get(
    f"{BASE}/{{collection_id}}/agent_run_ingest_jobs",
    operation_id="docent_agent_run_jobs_list",
    summary="List ingestion jobs",
    response_model=wire.JobList,
    responses=declared(_ERRORS | {422: "The request is not valid."}),
    dependencies=[requires(Scope.READ)],
)
async def list_jobs(
    collection_id: str,
    services: CoreServices,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=MAX_INT, description="The most jobs; more than 1,000 are 1,000.")] = 100,
) -> Response:
    """List the newest jobs of this collection, and of none, among the project's newest 10,000."""
    wanted = JobFilter(collection=collection_of(collection_id), or_no_collection=True)
    page = await services.lists.page_by_offset(caller.project_id, wanted, offset=0, limit=min(limit, MOST_LISTED))
    return _answer(translate.job_list(page.jobs))
