"""Fifth Element's two operations, at the root and under the vendor's own base path `/v1/api`."""

import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app.dialects.fifthelement import translate, wire
from app.domain.errors import JobtrackError
from app.domain.principal import Scope
from app.web.auth import requires
from app.web.deps import Caller, CoreServices
from app.web.errors import headers_of
from app.web.idempotency import KEY_PARAMETER, IdempotencyKey, replayed_headers
from app.web.params import job_id_of
from app.web.routing import guarded_route

RATE_LIMIT = 2_147_483_647
"""The vendor reports its rate limit on every response; this server has none. The limit is therefore the largest 32-bit
number, and all of it always remains: a client that paces itself by these headers is never slowed down."""

RATE_WINDOW_SECONDS = 3600
"""The vendor's limits are per hour, so `X-RateLimit-Reset` is the end of the current one."""

JobId = Annotated[str, Path(examples=[wire.EXAMPLE_ID])]

PREFIXES = ("/jobs", "/v1/api")
"""The root, and the vendor's own base path."""


def rate_limit_headers() -> dict[str, str]:
    """Return the headers that all of the vendor's responses carry."""
    hour = int(time.time()) // RATE_WINDOW_SECONDS
    return {
        "X-RateLimit-Limit": str(RATE_LIMIT),
        "X-RateLimit-Remaining": str(RATE_LIMIT),
        "X-RateLimit-Reset": str((hour + 1) * RATE_WINDOW_SECONDS),
    }


def render(request: Request, error: JobtrackError) -> Response:
    """Render an error in the envelope."""
    del request
    # ASCII only: a lone surrogate in the message must not break the response that rejects it.
    body = json.dumps(translate.error_answer(error).model_dump(mode="json", by_alias=True)).encode("ascii")
    headers = {**headers_of(error), **rate_limit_headers()}
    return Response(body, translate.status_code(error), headers, "application/json")


def _answer(model: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        model.model_dump_json(by_alias=True), 200, {**rate_limit_headers(), **(headers or {})}, "application/json"
    )


# The path parameter `{id}` keeps the vendor's name, hence the shadowed builtin. It is text and not a UUID, so a
# malformed id is treated like an unknown one: 404, in the envelope.
async def get_job(id: JobId, services: CoreServices, caller: Caller) -> Response:  # noqa: A002
    """Retrieve status and details of a background job."""
    job_id = job_id_of(id)
    return _answer(translate.job_answer(await services.jobs.get(caller.project_id, job_id, documents=True)))


async def rerun_job(
    id: JobId,  # noqa: A002
    request: Request,
    services: CoreServices,
    caller: Caller,
    key: IdempotencyKey,
) -> Response:
    """Rerun a job that has ended: a new job is created, and the original is unchanged. A live job returns 400."""
    job_id = job_id_of(id)
    labels = translate.labels_of(request.headers.get(USER_IDENTIFIER["name"], ""))
    created = await services.jobs.rerun(caller.project_id, job_id, idempotency=key, queues=caller.queues, labels=labels)
    return _answer(translate.rerun_answer(created.job, job_id), replayed_headers(key is not None and created.replayed))


USER_IDENTIFIER: dict[str, Any] = {
    "name": "x-user-identifier",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "E-mail address of a member or id of a service account. A rerun stores it as a label.",
}

RATE_LIMIT_HEADERS: dict[str, Any] = {
    "X-RateLimit-Limit": {
        "schema": {"type": "integer"},
        "description": "Requests per hour. No limit is enforced, so this is the largest 32-bit number.",
    },
    "X-RateLimit-Remaining": {"schema": {"type": "integer"}, "description": "Always equal to the limit."},
    "X-RateLimit-Reset": {"schema": {"type": "integer"}, "description": "End of the current hour, in Unix seconds."},
}

ERRORS = {
    400: "The request is malformed, or the job is still live.",
    401: "The API key is missing or invalid.",
    403: "The API key lacks the required scope.",
    404: "Job not found.",
    429: "Too many invalid API keys from this address.",
    500: "Internal error.",
    503: "The database is unavailable.",
}


# The ids are the other way round than in the vendor's example: the new job's is the one that path parameters show, so
# that Swagger UI puts the id of a real rerun there.
_RERUN_SHOWN = {
    "data": {**wire.RERUN_EXAMPLE["data"], "id": wire.EXAMPLE_ID, "originalJobId": wire.RERUN_ID},
    "error": None,
}


def _responses(answer: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    declared: dict[int | str, dict[str, Any]] = {
        code: {"model": wire.ErrorAnswer, "description": text, "headers": RATE_LIMIT_HEADERS}
        for code, text in ERRORS.items()
    }
    shown = {} if answer is None else {"content": {"application/json": {"example": answer}}}
    return {200: {"headers": RATE_LIMIT_HEADERS, **shown}, **declared}


def _router() -> APIRouter:
    """Return a router with both operations at both paths; those at the root have the shorter operation ids."""
    routes = APIRouter(route_class=guarded_route(render=render), tags=["Jobs"])
    for base, prefix in (("", "fifthelement"), ("/v1/api", "fifthelement_v1_api")):
        routes.add_api_route(
            f"{base}/jobs/{{id}}",
            get_job,
            methods=["GET"],
            operation_id=f"{prefix}_jobs_get",
            summary="Get job status",
            response_model=wire.JobAnswer,
            responses=_responses(),
            dependencies=[requires(Scope.READ)],
            openapi_extra={"parameters": [USER_IDENTIFIER]},
        )
        routes.add_api_route(
            f"{base}/jobs/{{id}}/rerun",
            rerun_job,
            methods=["POST"],
            operation_id=f"{prefix}_jobs_rerun",
            summary="Rerun job",
            response_model=wire.RerunAnswer,
            responses=_responses(_RERUN_SHOWN),
            dependencies=[requires(Scope.SUBMIT)],
            openapi_extra={"parameters": [USER_IDENTIFIER, KEY_PARAMETER]},
        )
    return routes


router = _router()
