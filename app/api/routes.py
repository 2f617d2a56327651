"""Parts shared by the native routes: the router with its route class, ids in paths, and declared problems."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path

from app.api.examples import JOB_ID
from app.api.responses import render_error
from app.web.body import JSON_BODY, BodyRules
from app.web.routing import guarded_route

JobIdText = Annotated[
    str,
    Path(
        alias="job_id",
        description="The job's id, a UUID in lower case. Any other text is answered with 404.",
        json_schema_extra={"format": "uuid"},
        examples=[JOB_ID],
    ),
]
"""An id in a path. It is text, because a malformed id is a 404 and not a validation error."""

_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_SENTENCES: Final[Mapping[int, str]] = {
    400: "The request cannot be read.",
    401: "The key is missing or invalid.",
    403: "The key lacks the scope or access to the queue.",
    404: "No such job in this project.",
    408: "The body did not arrive in time.",
    409: "The job's state does not allow this; `job` is the current job.",
    410: "The cursor is of another database cluster, which the database was restored from: begin without one.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    416: "The byte range is outside the input.",
    422: "The request is well-formed but invalid.",
    429: "Too many requests; see `Retry-After`.",
    500: "Internal error; the request's id helps to find out what.",
    503: "Temporarily unavailable; see `Retry-After`.",
}
_WITHOUT_KEY: Final = (400, 500, 503)
_WITHOUT_BODY: Final = (*_WITHOUT_KEY, 401, 403, 422, 429)
_WITH_BODY: Final = (*_WITHOUT_BODY, 408, 413, 415)


def problems(*more: int, body: bool = False, public: bool = False) -> dict[int | str, dict[str, Any]]:
    """Declare the problems that a route may return; a `public` one needs no key."""
    statuses = sorted({*(_WITH_BODY if body else _WITHOUT_KEY if public else _WITHOUT_BODY), *more})
    return {status: {"description": _SENTENCES[status], "content": _PROBLEM} for status in statuses}


def router(tag: str, body: BodyRules = JSON_BODY) -> APIRouter:
    """Return a router of the native API."""
    route_class = guarded_route(render=render_error, body=body, closed_query=True)
    return APIRouter(prefix="/v1", tags=[tag], route_class=route_class)
