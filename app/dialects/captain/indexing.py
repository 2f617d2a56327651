"""Captain's operations that start an indexing job, one for each source: `/v2/collections/{name}/index/{source}`."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from starlette.requests import Request
from starlette.responses import Response

from app.dialects.captain import translate, wire
from app.dialects.captain.forms import form_boundary, whole_form
from app.dialects.captain.index_examples import EXAMPLES, NAMES
from app.dialects.captain.index_wire import BODIES, CREDENTIALS, IndexRequest
from app.domain.errors import NotFoundError
from app.domain.idempotency import ContentDigest
from app.domain.job import Created
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import declared
from app.web.idempotency import KEY_PARAMETER, IdempotencyKey, replayed_headers
from app.web.params import check_queue, is_collection
from app.web.uploads import limited_stream

BASE = "/v2"
MAX_UPLOAD_BYTES = 100 * 1024 * 1024
MAX_COLLECTION_LENGTH = 255

ERRORS = {
    401: "The API key is missing or invalid.",
    403: "The API key lacks the required scope.",
    404: "Job not found.",
    422: "The request is invalid.",
    429: "Too many invalid API keys from this address, or the key holds too much open.",
    500: "Internal error.",
    503: "The database is unavailable.",
}
KEY_ERRORS = {
    400: "The Idempotency-Key is malformed.",
    409: "A request with this Idempotency-Key is still in progress.",
}
_BODY_ERRORS = {
    400: "The request body is malformed.",
    404: "No such path.",
    408: "The request body arrived too slowly.",
    413: "The request body is too large.",
    415: "The content type or content encoding is not supported.",
}
ORGANIZATION: dict[str, Any] = {
    "name": "X-Organization-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Accepted and ignored: the API key determines the project.",
}
Collection = Annotated[str, Path(examples=["example"])]
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary", "maxLength": MAX_UPLOAD_BYTES}},
    }
}


def _started(created: Created) -> Response:
    body = translate.started(created.job).model_dump_json()
    return Response(body, 200, replayed_headers(created.replayed), "application/json")


def _collection_of(name: str) -> str:
    if len(name) > MAX_COLLECTION_LENGTH or not is_collection(name):
        raise NotFoundError("There is nothing at this path.")
    return name


def _add_source(router: APIRouter, source: str, model: type[IndexRequest]) -> None:
    """Register the operation that indexes one kind of source, with its request model."""

    async def index(
        name: Collection, body: Any, services: CoreServices, caller: Caller, key: IdempotencyKey
    ) -> Response:
        job = translate.new_job(_collection_of(name), source, body)
        check_queue(caller, job.queue)
        created = await services.inputs.create_job(
            caller.project_id,
            job,
            _as_json(body),
            content_type="application/json",
            sensitive=source in CREDENTIALS,
            idempotency=key,
        )
        return _started(created)

    retention = ", and is deleted when the job ends" if source in CREDENTIALS else ""
    index.__doc__ = (
        "Start a job that indexes this source into a collection. The request, including its secrets, becomes the job's "
        f"input, which only the worker can read{retention}."
    )
    index.__annotations__["body"] = Annotated[model, Body(examples=[EXAMPLES[source]])]
    router.add_api_route(
        f"{BASE}/collections/{{name}}/index/{source}",
        index,
        methods=["POST"],
        operation_id=f"captain_{translate.type_of(source)}",
        summary=f"Index {NAMES[source]}",
        response_model=wire.IndexJobResponseV2,
        responses=declared(ERRORS | KEY_ERRORS | _BODY_ERRORS),
        dependencies=[requires(Scope.SUBMIT)],
        openapi_extra={"parameters": [ORGANIZATION, KEY_PARAMETER]},
        tags=["Indexing"],
    )


async def _as_json(body: IndexRequest) -> AsyncIterator[bytes]:
    yield json.dumps(body.model_dump(mode="json", exclude_unset=True)).encode()


async def index_file(
    name: Collection, request: Request, services: CoreServices, caller: Caller, key: IdempotencyKey
) -> Response:
    """Start a job that indexes a file of up to 100 MiB. The form becomes the job's input, exactly as sent."""
    job = translate.new_job(_collection_of(name), "file", None)
    check_queue(caller, job.queue)
    boundary = form_boundary(request)
    created = await services.inputs.create_job(
        caller.project_id,
        job,
        whole_form(limited_stream(request, MAX_UPLOAD_BYTES), boundary),
        content_type=request.headers["content-type"],
        max_bytes=MAX_UPLOAD_BYTES,
        idempotency=key,
        content=ContentDigest(boundary),
    )
    return _started(created)


def add_indexing(router: APIRouter) -> None:
    """Register the operations of all sources."""
    for source, model in BODIES.items():
        _add_source(router, source, model)
    router.add_api_route(
        f"{BASE}/collections/{{name}}/index/file",
        index_file,
        methods=["POST"],
        operation_id="captain_index_file",
        summary="Index an uploaded file",
        response_model=wire.IndexJobResponseV2,
        responses=declared(ERRORS | KEY_ERRORS | _BODY_ERRORS),
        dependencies=[requires(Scope.SUBMIT)],
        openapi_extra={
            "parameters": [ORGANIZATION, KEY_PARAMETER],
            "requestBody": {"required": True, "content": {"multipart/form-data": _FORM}},
        },
        tags=["Indexing"],
    )
