"""Errors as RFC 9457 problems, the native format."""

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response

from app.domain.errors import InvalidError, JobtrackError
from app.web.errors import MAX_FIELD_ERRORS, headers_of, status_of

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
    "too_many_queues": "The project has too many queues",
    "invalid_cursor": "The cursor is not valid",
    "cursor_expired": "The cursor is of another database cluster",
    "throttled": "Too many requests",
    "key_limit": "The key holds too much open",
    "head_too_large": "The head of the request is too large",
    "internal_error": "Internal error",
    "unavailable": "Temporarily unavailable",
    "too_many_waits": "The process holds too much open",
    "no_space": "The disk of the database is full",
    "busy": "The database is busy",
    "conflict": "The job is in conflict with this request",
    "lease_lost": "The lease is lost",
    "already_terminal": "The job has ended",
    "invalid_transition": "The job's state does not allow this",
    "idempotency_in_progress": "A request with this key is still in progress",
    "queue_full": "The queue is full",
    "queue_in_use": "The queue has live jobs",
    "input_gone": "The input is gone",
    "range_not_satisfiable": "Range not satisfiable",
    "key_revoked": "The key is revoked",
    "last_operator_key": "Last operator key",
}


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
