"""A job's input as bytes: uploaded before a worker claims the job, read by the worker that holds it."""

import re
from typing import Annotated, Any, Final

from fastapi import Request, Response

from app.api.jobs.wire import InputOut
from app.api.responses import json_response
from app.api.routes import JobIdText, problems, router
from app.core.inputs import MAX_INPUT_BYTES
from app.domain.errors import ForbiddenError, InvalidError, RangeError
from app.domain.field_error import FieldError
from app.domain.ids import parse_id
from app.domain.input import StoredInput
from app.domain.principal import Principal, Scope
from app.web.auth import requires
from app.web.conditions import names_tag
from app.web.deps import CoreServices
from app.web.disconnect import DownloadResponse
from app.web.idempotency import IdempotencyKey, replayed_headers
from app.web.params import job_id_of
from app.web.uploads import limited_stream

inputs = router("Jobs")

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?:\s*;[\x20-\x7e]{0,200})?")
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)
_BYTES: dict[str, Any] = {"schema": {"type": "string", "format": "binary", "maxLength": MAX_INPUT_BYTES}}
_LEASE_TOKEN: dict[str, Any] = {
    "name": "Lease-Token",
    "in": "header",
    "required": False,
    "description": "The token of the caller's lease. Needed with a key that has the scope `work` and not `submit`.",
    "schema": {"type": "string", "format": "uuid"},
}
_READ_HEADERS: list[dict[str, Any]] = [
    _LEASE_TOKEN,
    {
        "name": "Range",
        "in": "header",
        "required": False,
        "description": "One byte range. Requests for several ranges get the whole input.",
        "schema": {"type": "string"},
        "example": "bytes=0-1023",
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "Entity tag of the version you have: 304 if it is unchanged.",
        "schema": {"type": "string"},
    },
]

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_READ: dict[str, Any] = {
    "Accept-Ranges": _TEXT | {"description": "`bytes`: ranges may be read."},
    "ETag": _TEXT | {"description": "The input's SHA-256."},
}
_RANGE_READ: dict[str, Any] = {"Content-Range": _TEXT | {"description": "`bytes FIRST-LAST/LENGTH`."}}


@inputs.put(
    "/jobs/{job_id}/input",
    operation_id="jobs_put_input",
    summary="Upload a job's input",
    response_model=InputOut,
    responses={
        200: {"description": "The previous input was replaced."},
        201: {"model": InputOut, "description": "The input was stored."},
        **problems(404, 409, body=True),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
)
async def put_input(
    request: Request,
    caller: Annotated[Principal, requires(Scope.SUBMIT)],
    services: CoreServices,
    key: IdempotencyKey,
    job_id: JobIdText,
) -> Response:
    """Store up to 100 MiB of any content type, while no worker holds the job. An incomplete upload is not stored.
    Repeating an upload is safe.
    """
    parsed = job_id_of(job_id)
    content_type = request.headers.get("content-type", DEFAULT_CONTENT_TYPE)
    if not _CONTENT_TYPE.fullmatch(content_type):
        sentence = "The Content-Type is no media type of up to 400 characters."
        raise InvalidError([FieldError("header:Content-Type", "content_type", sentence)])
    # Look the job up first, so that nobody uploads 100 MiB for a job that does not exist or that the key may not use.
    await services.inputs.expect(caller.project_id, parsed, queues=caller.queues, idempotency=key)
    stored = await services.inputs.receive(
        caller.project_id, limited_stream(request, MAX_INPUT_BYTES), content_type=content_type
    )
    replaced, replayed = await services.inputs.put(
        caller.project_id, parsed, stored, queues=caller.queues, idempotency=key
    )
    document = {
        "content_type": stored.content_type,
        "size_bytes": stored.size_bytes,
        "sha256": stored.sha256.hex(),
    }
    return json_response(document, 200 if replaced else 201, replayed_headers(replayed))


@inputs.get(
    "/jobs/{job_id}/input",
    operation_id="jobs_get_input",
    summary="Read a job's input",
    response_class=Response,
    responses={
        200: {"description": "The input.", "content": {"application/octet-stream": _BYTES}, "headers": _READ},
        206: {
            "description": "The requested range.",
            "content": {"application/octet-stream": _BYTES},
            "headers": _READ | _RANGE_READ,
        },
        304: {"description": "Not modified.", "headers": _READ},
        **problems(404, 409, 416),
    },
    openapi_extra={"parameters": _READ_HEADERS},
)
async def get_input(
    request: Request,
    caller: Annotated[Principal, requires(Scope.SUBMIT, Scope.WORK)],
    services: CoreServices,
    job_id: JobIdText,
) -> Response:
    """Return the input exactly as uploaded. A worker reads it under its lease; a key that may submit in the job's queue
    needs no lease, unless the input holds credentials.
    """
    parsed = job_id_of(job_id)
    token = parse_id(request.headers.get("lease-token", ""))
    if caller.may(Scope.SUBMIT) and "lease-token" not in request.headers:
        stored = await services.inputs.open(caller.project_id, parsed, queues=caller.queues)
    elif token is None:
        raise ForbiddenError("With the scope `work` alone an input is read under a lease: send its Lease-Token.")
    else:
        stored = await services.inputs.open_held(caller.project_id, parsed, token)
    return _answer(request, services, caller, stored)


def _answer(request: Request, services: Any, caller: Principal, stored: StoredInput) -> Response:
    tag = f'"{stored.sha256.hex()}"'
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        # An upload is untrusted: browsers must save it, never render it as a page of this origin.
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "sandbox",
    }
    if names_tag(request.headers, stored.sha256.hex()):
        return Response(None, 304, headers)
    start, end, status = 0, stored.size_bytes, 200
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    # Compared exactly: under a tag that a proxy has changed, the ranges are those of compressed bytes.
    if match and request.headers.get("if-range", tag) == tag:
        start, end = _bounds(match, stored.size_bytes)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size_bytes}"
    headers["Content-Length"] = str(end - start)
    body = services.inputs.read(caller.project_id, stored, start, end)
    response = DownloadResponse(request, body, status, headers)
    # Keep the type as uploaded: the framework would add a charset to text.
    response.headers["Content-Type"] = stored.content_type
    return response


def _bounds(match: re.Match[str], size: int) -> tuple[int, int]:
    """Return the offsets of a range: its first byte, and the byte after its last."""
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if start >= size or start >= end:
        raise RangeError("The range lies outside of the input.", size)
    return start, end
