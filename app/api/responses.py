"""The native API's responses: JSON, 304, and errors."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json

from app.api.translate import job_of
from app.domain.errors import JobtrackError
from app.web.problems import problem_response

RawHeader = tuple[bytes, bytes]
"""A header as ASGI has it: the name in lower case."""


def render_error(request: Request, error: JobtrackError) -> Response:
    """Render an error: the renderer of every native route."""
    return problem_response(request, error, job_of(error, request.scope["state"].get("principal")))


def json_bytes(body: bytes, headers: Iterable[RawHeader]) -> Response:
    """Return a response of encoded JSON. Built by hand, because this is the busiest path."""
    response = Response.__new__(Response)
    response.status_code, response.background, response.body = 200, None, body
    response.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), *headers]
    return response


def not_modified(headers: Iterable[RawHeader]) -> Response:
    """Return a 304 response."""
    response = Response.__new__(Response)
    response.status_code, response.background, response.body = 304, None, b""
    response.raw_headers = list(headers)
    return response


def json_response(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(to_json(document), status, headers, "application/json")
