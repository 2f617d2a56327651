"""Errors as services built with FastAPI answer them, `{"detail": ...}`: what several vendors' clients expect."""

import json
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from app.domain.errors import InvalidError, JobtrackError
from app.domain.field_error import FieldError
from app.web.errors import MAX_FIELD_ERRORS, headers_of, status_of

_PLACES = {"?": "query", "/": "body"}


class ErrorDetail(BaseModel):
    """What went wrong, in one sentence."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"detail": "There is no such job."}]})

    detail: str


class ValidationError(BaseModel):
    """One place of a request that is wrong."""

    loc: list[str | int] = Field(description="Where: `body`, `query`, `path` or `header`, then names and indices.")
    msg: str
    type: str


class HTTPValidationError(BaseModel):
    """A request that can be read and is wrong."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"detail": [{"loc": ["body", "job_ids"], "msg": "Field required", "type": "missing"}]}]
        }
    )

    detail: list[ValidationError]


def detail_of(error: JobtrackError) -> Any:
    """Return the value of `detail`: a sentence, or a list of invalid places."""
    if not isinstance(error, InvalidError):
        return error.message
    places = error.errors[:MAX_FIELD_ERRORS] or (FieldError("", "value_error", error.message),)
    return [{"loc": location(place.pointer), "msg": place.message, "type": place.code} for place in places]


def location(pointer: str) -> list[str | int]:
    """Turn a place as the domain writes it (`/a/0`, `?name`, `header:Name`) into a list of steps."""
    if pointer[:1] not in _PLACES:
        where, _, name = pointer.partition(":")
        return [where or "body", *([name] if name else [])]
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")] if pointer[1:] else []
    return [_PLACES[pointer[0]], *(int(step) if step.isascii() and step.isdigit() else step for step in steps)]


def render_detail(request: Request, error: JobtrackError) -> Response:
    """Answer an error in this shape."""
    del request
    # ASCII only: half a surrogate pair must not fail the very answer that refuses it.
    body = json.dumps({"detail": detail_of(error)}).encode("ascii")
    return Response(body, status_of(error), headers_of(error), "application/json")


def declared(errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """Describe these statuses in an OpenAPI document."""
    return {
        code: {
            "model": HTTPValidationError if code == HTTPStatus.UNPROCESSABLE_ENTITY else ErrorDetail,
            "description": text,
        }
        for code, text in errors.items()
    }
