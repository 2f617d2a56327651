"""Captain's calls that start a job: one for each source, at `/v2/collections/{name}/index/{source}`."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from app.dialects.captain import translate, wire
from app.dialects.captain.forms import form_boundary, whole_form
from app.dialects.captain.index_wire import BODIES, CREDENTIALS, IndexRequest
from app.domain.errors import NotFoundError
from app.domain.job import Job
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.detail_errors import declared
from app.web.idempotency import idempotency_of, idempotency_of_upload
from app.web.params import check_queue, is_collection
from app.web.uploads import limited_stream

BASE = "/v2"
MAX_UPLOAD_BYTES = 100 * 1024 * 1024
MAX_COLLECTION_LENGTH = 255

ERRORS = {
    401: "The key is missing or wrong.",
    403: "The key lacks the right.",
    404: "There is no such job.",
    422: "The request is not valid.",
    429: "Too many wrong keys from this address.",
    500: "Something went wrong here.",
    503: "The database cannot be reached just now.",
}
_BODY_ERRORS = {
    400: "The body cannot be read.",
    404: "There is nothing at this path.",
    408: "The body came too slowly.",
    409: "The first call with this Idempotency-Key is still running.",
    413: "The body is too large.",
    415: "The body is of a type or compressed in a way that is not taken.",
}
ORGANIZATION: dict[str, Any] = {
    "name": "X-Organization-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Accepted; it changes nothing: the key says which project this is.",
}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "A repeat under the same key answers the job that the first call started.",
}
_FORM: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary", "maxLength": MAX_UPLOAD_BYTES}},
    }
}


def _started(job: Job) -> Response:
    return Response(translate.started(job).model_dump_json(), 200, media_type="application/json")


def _collection_of(name: str) -> str:
    if len(name) > MAX_COLLECTION_LENGTH or not is_collection(name):
        raise NotFoundError("There is nothing at this path.")
    return name


def _add_source(router: APIRouter, source: str, model: type[IndexRequest]) -> None:
    """Register the call that indexes one source, with the source's own body."""

    async def index(name: str, request: Request, asked: Any, services: CoreServices, caller: Caller) -> Response:
        job = translate.new_job(_collection_of(name), source, asked)
        check_queue(caller, job.queue)
        created = await services.inputs.create_job(
            caller.project_id,
            job,
            _whole(asked),
            content_type="application/json",
            sensitive=source in CREDENTIALS,
            idempotency=await idempotency_of(request),
        )
        return _started(created.job)

    kept = ", and is dropped when the job has ended" if source in CREDENTIALS else ""
    index.__doc__ = (
        "Start a job that indexes this source into a collection. The request, with whatever is secret in it, is the "
        f"job's input, for the worker alone{kept}."
    )
    index.__annotations__["asked"] = Annotated[model, Body()]
    router.add_api_route(
        f"{BASE}/collections/{{name}}/index/{source}",
        index,
        methods=["POST"],
        operation_id=f"captain_{translate.type_of(source)}",
        summary=f"Index {source}",
        response_model=wire.IndexJobResponseV2,
        responses=declared(ERRORS | _BODY_ERRORS),
        dependencies=[requires(Scope.SUBMIT)],
        openapi_extra={"parameters": [ORGANIZATION, _IDEMPOTENCY_KEY]},
        tags=["Indexing"],
    )


async def _whole(asked: IndexRequest) -> AsyncIterator[bytes]:
    yield json.dumps(asked.model_dump(mode="json", exclude_unset=True)).encode()


async def index_file(name: str, request: Request, services: CoreServices, caller: Caller) -> Response:
    """Start a job that indexes a file of up to 100 MiB. The form, as it was sent, is the job's input."""
    job = translate.new_job(_collection_of(name), "file", None)
    check_queue(caller, job.queue)
    boundary = form_boundary(request)
    created = await services.inputs.create_job(
        caller.project_id,
        job,
        whole_form(limited_stream(request, MAX_UPLOAD_BYTES), boundary),
        content_type=request.headers["content-type"],
        max_bytes=MAX_UPLOAD_BYTES,
        idempotency=idempotency_of_upload(request),
    )
    return _started(created.job)


def add_indexing(router: APIRouter) -> None:
    """Register the call of every source."""
    for source, model in BODIES.items():
        _add_source(router, source, model)
    router.add_api_route(
        f"{BASE}/collections/{{name}}/index/file",
        index_file,
        methods=["POST"],
        operation_id="captain_index_file",
        summary="Index an uploaded file",
        response_model=wire.IndexJobResponseV2,
        responses=declared(ERRORS | _BODY_ERRORS),
        dependencies=[requires(Scope.SUBMIT)],
        openapi_extra={
            "parameters": [ORGANIZATION, _IDEMPOTENCY_KEY],
            "requestBody": {"required": True, "content": {"multipart/form-data": _FORM}},
        },
        tags=["Indexing"],
    )
