"""The HTTP status and headers of errors, the same for the native API and every dialect, which render the bodies."""

import math
import random
from collections.abc import Callable, Container, Mapping
from typing import Final, TypeAlias

from fastapi import Request, Response

from app.domain.errors import (
    ConflictError,
    InvalidError,
    JobtrackError,
    RangeError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)

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
    "cursor_expired": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "invalid": 422,
    "too_many_queues": 422,
    "invalid_cursor": 422,
    "throttled": 429,
    "key_limit": 429,
    "head_too_large": 431,
    "internal_error": 500,
    "unavailable": 503,
    "too_many_waits": 503,
    "no_space": 503,
    "busy": 503,
}


METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


class MethodNotAllowedError(JobtrackError):
    """The path exists, and not with this method."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__("The path does not take this method.")
        self.allow = allow


def allow_header(methods: Container[str]) -> str:
    """Write the methods of a path, in an order that never changes, as the value of `Allow`. What has GET has HEAD."""
    found = [method for method in METHODS if method in methods]
    return ", ".join([*found, "HEAD"] if "GET" in found else found)


class HeadTooLargeError(JobtrackError):
    """The request's line and headers, or what stands beside its body, are longer than any request needs."""

    code = "head_too_large"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The head of a request, or the trailers of its body, are longer than {max_bytes} bytes.")


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
