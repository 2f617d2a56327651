"""Immuta's job statuses, with a long poll, and the log-in with which its clients begin."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Body
from fastapi.openapi.models import APIKey, APIKeyIn
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.core.waits import WaitResult
from app.dialects.immuta import translate, wire
from app.domain.errors import JobtrackError, MalformedError
from app.domain.held import wait_for
from app.domain.ids import parse_id
from app.domain.principal import Scope
from app.web.auth import KeyScheme, bearer_key, key_sent, public, requires
from app.web.body import BodyRules, parse, read_bytes
from app.web.deps import Caller, CoreServices, Services, client_address
from app.web.errors import headers_of, status_of
from app.web.framework_errors import invalid
from app.web.held_response import held_json_response
from app.web.large import rendered, size_of
from app.web.routing import guarded_route

PREFIXES = ("/jobs/statuses", "/bim")

# Published scripts for this vendor send JSON without a JSON content type.
BODY = BodyRules(json_type_required=False)
LOG_IN_BODY = BodyRules(max_bytes=16 * 1024, json_type_required=False)
FORM = "application/x-www-form-urlencoded"

KEY = KeyScheme(
    "key",
    APIKey.model_validate(
        {
            "in": APIKeyIn.header,
            "name": "Authorization",
            "description": "The API key without a scheme, or `Bearer <token>` with the token of the log-in.",
        }
    ),
)


def key_of(request: Request) -> str | None:
    """Return the API key from the header: alone, as the vendor documents it, or after `Bearer`."""
    values = request.headers.getlist("authorization")
    if len(values) == 1 and " " not in values[0].strip():
        return values[0].strip() or None
    return bearer_key(request)


def render(request: Request, error: JobtrackError) -> Response:
    """Render an error in the vendor's format."""
    del request
    # ASCII only: a lone surrogate in the message must not break the response that rejects it.
    body = json.dumps(translate.error_body(error).model_dump(mode="json", by_alias=True)).encode("ascii")
    return Response(body, status_of(error), headers_of(error), "application/json")


ERRORS = {
    400: "The request body is not JSON.",
    401: "The API key is missing or invalid.",
    403: "The API key lacks the required scope.",
    408: "The request body arrived too slowly.",
    413: "The request body is too large.",
    415: "Compressed request bodies are not supported.",
    429: "Too many invalid API keys from this address, or the key holds too much open.",
    500: "Internal error.",
    503: "The database is unavailable.",
}


def _responses(example: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    declared: dict[int | str, dict[str, Any]] = {
        code: {"model": wire.ErrorBody, "description": text} for code, text in ERRORS.items()
    }
    return {
        200: {"content": {"application/json": {"example": example}}},
        422: {"model": wire.InvalidBody, "description": "The payload is invalid; `validation` lists the fields."},
        **declared,
    }


router = APIRouter(route_class=guarded_route(render=render, authenticate=key_sent(key_of), body=BODY))


@router.post(
    "/jobs/statuses",
    operation_id="immuta_jobs_statuses",
    summary="Get job status and output",
    response_model=wire.Statuses,
    responses=_responses(wire.STATUSES_EXAMPLE),
    dependencies=[requires(Scope.READ, scheme=KEY)],
    tags=["Jobs"],
)
async def post_statuses(
    request: Request, body: Annotated[wire.StatusesRequest, Body()], services: CoreServices, caller: Caller
) -> Response:
    """Get the status and output of jobs, immediately or when all have ended or the wait times out.

    During a wait longer than 15 seconds, spaces are sent before the JSON as a keep-alive. Unknown ids are omitted and
    not waited for. Outputs for which the response has no room are null, and `outputOmitted` says so: ask for those jobs
    again, fewer at a time. The first job's output is always there.
    """
    job_ids = [job_id for text in dict.fromkeys(body.job_ids) if (job_id := parse_id(text)) is not None]
    holding, answer = wait_for(job_ids), _answer(services, caller.project_id, job_ids, body)
    if body.wait == 0:
        # Nothing is held, so there is no need to watch for a disconnect.
        return Response(await answer, media_type="application/json")
    # Not while the wait lasts, which keeps them in a tenth of the space.
    del job_ids
    body.job_ids.clear()
    return await held_json_response(request, answer, bytes, holding)


async def _answer(services: Services, project_id: UUID, job_ids: Sequence[UUID], body: wire.StatusesRequest) -> bytes:
    wait = services.waits.wait(
        project_id, job_ids, seconds=body.wait, poll_seconds=body.poll_interval, include=translate.OUTPUT
    )
    del job_ids
    result = await wait
    return await rendered(size_of(result.jobs.values()), _statuses_body, result)


def _statuses_body(result: WaitResult) -> bytes:
    entries = (translate.statuses([job]) for job in result.jobs.values())
    rows = [_json({key: status.model_dump(by_alias=True) for key, status in entry.items()}) for entry in entries]
    return b"{" + b",".join(row[1:-1] for row in rows) + b"}"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_LOG_IN_SCHEMA = wire.AuthenticateRequest.model_json_schema()


@router.post(
    "/bim/apikey/authenticate",
    operation_id="immuta_apikey_authenticate",
    summary="Authenticate with an API key",
    response_model=wire.Authenticated,
    responses=_responses(wire.AUTHENTICATED_EXAMPLE),
    dependencies=[public],
    openapi_extra={
        "requestBody": {
            "required": True,
            # One type alone: of two some generators make a module that cannot be imported.
            "description": f"As JSON, or as a form (`{FORM}`) of the same field.",
            "content": {"application/json": {"schema": _LOG_IN_SCHEMA}},
        }
    },
    tags=["Authentication"],
)
async def post_authenticate(request: Request, services: CoreServices) -> Response:
    """Exchange an API key for a token, which is the key itself. An invalid key returns 401."""
    key = await _api_key(request)
    principal = await services.keys.authenticate(key, client_address(request))
    body = translate.authenticated(principal, key).model_dump_json(by_alias=True)
    return Response(body, media_type="application/json")


async def _api_key(request: Request) -> str:
    """Read the key from a body of either content type that the vendor's clients send."""
    body = await read_bytes(request, LOG_IN_BODY)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Without an explicit type, curl's `-d` labels JSON as a form; no form begins with a brace.
    is_form = media_type == FORM and not body.lstrip().startswith(b"{")
    values = _form(body) if is_form else parse(body, LOG_IN_BODY)
    try:
        return wire.AuthenticateRequest.model_validate(values).apikey
    except ValidationError as error:
        raise invalid(error.errors()) from None


def _form(body: bytes) -> dict[str, str]:
    """Parse a form with the standard library: it has one field and needs no multipart parser."""
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise MalformedError("The form cannot be read.") from None
    return {name: values[-1] for name, values in fields.items()}
