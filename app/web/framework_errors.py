"""Conversion of the framework's and pydantic's errors to domain errors."""

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.domain.errors import InvalidError, JobtrackError, MalformedError, NotFoundError, TooLargeError
from app.domain.field_error import FieldError
from app.web.body import pointer_token
from app.web.errors import MAX_FIELD_ERRORS, FrameworkError, MethodNotAllowedError

_MESSAGES = {
    "union_tag_invalid": "This is none of the known kinds.",
    "uuid_parsing": "This is not a UUID.",
    "datetime_from_date_parsing": "This is not an RFC 3339 time.",
}
"""Kinds of failures whose usual message repeats what the client sent."""


def invalid(errors: Sequence[Any], *, skip: int = 0) -> InvalidError:
    """Turn pydantic's errors into one of ours, without any value; `skip=1` where places begin with `body`."""
    found: list[FieldError] = []
    for error in errors[:MAX_FIELD_ERRORS]:
        place, where = error["loc"][skip:], error["loc"][0] if skip and error["loc"] else "body"
        if where == "query":
            pointer = "?" + "/".join(map(str, place))
        elif where in {"header", "path", "cookie"}:
            pointer = f"{where}:" + "/".join(map(str, place))
        else:
            pointer = "".join(f"/{pointer_token(str(step))}" for step in place)
        message = _MESSAGES.get(error["type"], error["msg"])
        found.append(FieldError(pointer, str(error["type"]), message[:500]))
    return InvalidError(found or "The request is not valid.", len(errors))


def as_jobtrack_error(error: Exception) -> JobtrackError:
    """Convert an exception of a route or of the framework to a domain error."""
    if isinstance(error, JobtrackError):
        return error
    if isinstance(error, RequestValidationError):
        return invalid(error.errors(), skip=1)
    if isinstance(error, HTTPException):
        # The framework wraps what a body's stream raised.
        if isinstance(error.__cause__, JobtrackError):
            return error.__cause__
        if error.status_code == 404:
            return NotFoundError("There is nothing at this path.")
        if error.status_code == 405:
            return MethodNotAllowedError((error.headers or {}).get("Allow", ""))
        if error.status_code == 413:
            return TooLargeError("The body is too large.")
        return (
            MalformedError("The request cannot be read.")
            if error.status_code == 400
            else FrameworkError(error.status_code)
        )
    return JobtrackError("Something went wrong; the request id helps to find out what.")
