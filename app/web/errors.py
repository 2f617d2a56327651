"""How errors look: one status for each code, and one native renderer (RFC 9457); no framework default escapes.

A dialect renders the same errors in its vendor's shape; it takes status and headers from here.
"""

import json
import logging
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.domain.errors import (
    ConflictError,
    FieldError,
    InvalidError,
    JobtrackError,
    MalformedError,
    NotFoundError,
    RangeError,
    ThrottledError,
    TooLargeError,
    UnauthorizedError,
    UnavailableError,
)
from app.web.body import pointer_token

log = logging.getLogger(__name__)

Render: TypeAlias = Callable[[Request, JobtrackError], Response]
"""Renders an error in the format of an edge."""

MAX_FIELD_ERRORS = 20
"""Enough to correct a form; a hostile body must not cause a large response."""

STATUS: Final[Mapping[str, int]] = {
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "invalid": 422,
    "invalid_cursor": 422,
    "throttled": 429,
    "internal_error": 500,
    "unavailable": 503,
    "too_many_waits": 503,
}
TITLES: Final[Mapping[str, str]] = {
    "malformed": "The request cannot be read",
    "unauthorized": "Missing or invalid key",
    "forbidden": "Forbidden",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "body_timeout": "Request body timed out",
    "too_large": "The body is too large",
    "unsupported_media_type": "Unsupported media type",
    "invalid": "The request is not valid",
    "invalid_cursor": "The cursor is not valid",
    "throttled": "Too many requests",
    "internal_error": "Internal error",
    "unavailable": "Temporarily unavailable",
    "too_many_waits": "Too many open waits",
    "conflict": "The job is in conflict with this request",
    "lease_lost": "The lease is lost",
    "already_terminal": "The job has ended",
    "invalid_transition": "The job's state does not allow this",
    "idempotency_in_progress": "A request with this key is still in progress",
    "input_gone": "The input is gone",
    "range_not_satisfiable": "Range not satisfiable",
    "key_revoked": "The key is revoked",
    "last_operator_key": "Last operator key",
}


class MethodNotAllowedError(JobtrackError):
    """The path exists, and not with this method."""

    code = "method_not_allowed"

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class FrameworkError(JobtrackError):
    """What the framework refused by itself, under the status it chose."""

    code = "malformed"

    def __init__(self, status: int) -> None:
        super().__init__("The request cannot be read.")
        self.status = status


def status_of(error: JobtrackError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, FrameworkError):
        return error.status
    return STATUS.get(error.code) or _inherited_status(error)


def _inherited_status(error: JobtrackError) -> int:
    """Return the status of an unlisted code's family, so that a new kind of conflict is a 409 without a table entry."""
    if isinstance(error, ConflictError):
        return 409
    return 422 if isinstance(error, InvalidError) else 500


def headers_of(error: JobtrackError) -> dict[str, str]:
    """Return the headers of an error, whatever the format of its body."""
    if isinstance(error, ThrottledError | UnavailableError):
        # Spread out: clients that were refused together would otherwise come back together.
        wait = error.retry_after_seconds * random.uniform(1.0, 1.5)  # noqa: S311
        return {"Retry-After": str(max(1, math.ceil(wait)))}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": 'Bearer realm="jobtrack"'}
    if isinstance(error, RangeError):
        return {"Content-Range": f"bytes */{error.size_bytes}"}
    if isinstance(error, MethodNotAllowedError):
        return {"Allow": error.allow}
    if isinstance(error, ConflictError) and error.retryable:
        return {"Retry-After": "1"}
    return {}


def request_id(request: Request) -> str:
    """Return the request's id, which the front has chosen."""
    return str(getattr(request.state, "request_id", ""))


def problem_document(
    error: JobtrackError, instance: str | None, job: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Describe an error as the members of an RFC 9457 problem."""
    document: dict[str, Any] = {
        "type": f"/docs/problems#{error.code}",
        "title": TITLES.get(error.code, "The request failed"),
        "status": status_of(error),
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
    }
    if instance:
        document["instance"] = instance
    if isinstance(error, InvalidError) and error.errors:
        document["errors"] = [
            {"pointer": field.pointer, "code": field.code, "message": field.message}
            for field in error.errors[:MAX_FIELD_ERRORS]
        ]
    if job is not None:
        document["job"] = job
    return document


def problem_response(request: Request, error: JobtrackError, job: Mapping[str, Any] | None = None) -> Response:
    """Render an error natively."""
    # ASCII only: half a surrogate pair from a query must not fail the very answer that refuses it.
    body = json.dumps(problem_document(error, request_id(request), job), allow_nan=False).encode("ascii")
    return Response(body, status_of(error), headers_of(error), "application/problem+json")


_MESSAGES = {
    "union_tag_invalid": "This is none of the known kinds.",
    "uuid_parsing": "This is not a UUID.",
    "datetime_from_date_parsing": "This is not an RFC 3339 time.",
}
"""Kinds of failures whose usual message repeats what the client sent."""


def invalid_from(error: RequestValidationError) -> InvalidError:
    """Convert a validation error of the framework, without echoing any input."""
    return InvalidError("The request is not valid.", field_errors(error.errors(), skip=1))


def field_errors(errors: Any, *, skip: int = 0) -> tuple[FieldError, ...]:
    """Turn pydantic's errors into ours; `skip=1` where each place begins with `body` or `query`."""
    found: list[FieldError] = []
    for error in list(errors)[:MAX_FIELD_ERRORS]:
        place, where = error["loc"][skip:], error["loc"][0] if skip and error["loc"] else "body"
        if where == "query":
            pointer = "?" + "/".join(map(str, place))
        elif where in {"header", "path", "cookie"}:
            pointer = f"{where}:" + "/".join(map(str, place))
        else:
            pointer = "".join(f"/{pointer_token(str(step))}" for step in place)
        message = _MESSAGES.get(error["type"], error["msg"])
        found.append(FieldError(pointer, str(error["type"]), message[:500]))
    return tuple(found)


def install(app: FastAPI, native: Render, fallbacks: Mapping[str, Render]) -> None:
    """Render errors outside of routes (404, 405, 500) in the format of the longest matching prefix."""
    ordered = sorted(fallbacks.items(), key=lambda pair: -len(pair[0]))

    def render(request: Request, error: JobtrackError) -> Response:
        path = request.url.path
        for prefix, chosen in ordered:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                return chosen(request, error)
        return native(request, error)

    async def known(request: Request, error: Exception) -> Response:
        known_error = as_jobtrack_error(error)
        if isinstance(known_error, MethodNotAllowedError):
            known_error.allow = allowed_methods(request)
        return render(request, known_error)

    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(RequestValidationError, known)
    app.add_exception_handler(JobtrackError, known)
    app.add_exception_handler(Exception, known)


def allowed_methods(request: Request) -> str:
    """List the methods of a path. The framework names only those of the first route that has the path."""

    def answers(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    found = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if answers(method)]
    return ", ".join([*found, "HEAD"] if "GET" in found else found)


def as_jobtrack_error(error: Exception) -> JobtrackError:
    """Convert an exception of a route or of the framework to a domain error."""
    if isinstance(error, JobtrackError):
        return error
    if isinstance(error, RequestValidationError):
        return invalid_from(error)
    if isinstance(error, HTTPException):
        # The framework wraps what a body's stream raised.
        if isinstance(error.__cause__, JobtrackError):
            return error.__cause__
        if error.status_code == 404:
            return NotFoundError("There is nothing at this path.")
        if error.status_code == 405:
            return MethodNotAllowedError("The path does not take this method.", (error.headers or {}).get("Allow", ""))
        if error.status_code == 413:
            return TooLargeError("The body is too large.")
        return (
            MalformedError("The request cannot be read.")
            if error.status_code == 400
            else FrameworkError(error.status_code)
        )
    return JobtrackError("Something went wrong; the request id helps to find out what.")
