"""The route class of every edge: key, scope, body, then the framework, and one renderer for whatever goes wrong.

The order is the promise: 401 and 403 come before the first byte of a body is read, so that a stranger costs nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from app.domain.errors import FieldError, InvalidError, MalformedError, NotFoundError, TooLargeError, UnavailableError
from app.web.auth import Credentials, authenticate, bearer_key, check_scope, scopes_of
from app.web.binding import bind
from app.web.body import JSON_BODY, BodyRules, parse, read_bytes, require_json_type
from app.web.deps import Services
from app.web.errors import Render, as_jobtrack_error

log = logging.getLogger(__name__)

CLIENT_GONE = 499
"""nginx's word for it; nobody reads it but the access log."""

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_Parsed = Callable[[Request, bytes, Any], Request]


class ParsedRequest(Request):
    """A request whose body was read and parsed by our rules, for a framework that would do it by its own."""

    def __init__(self, request: Request, body: bytes, parsed: Any) -> None:
        # The framework parses only what calls itself JSON, and this was parsed already.
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
        scope = {**request.scope, "headers": [*headers, (b"content-type", b"application/json")]}
        super().__init__(scope, request.receive, request._send)  # noqa: SLF001
        self._body = body
        self._json = parsed


def with_parsed(request: Request, body: bytes, parsed: Any) -> Request:
    """Give the request its body as we have read it, for a function that is called directly."""
    request._body = body  # noqa: SLF001
    request._json = parsed  # noqa: SLF001
    return request


def guarded_route(
    *,
    render: Render,
    credentials: Credentials = bearer_key,
    body: BodyRules = JSON_BODY,
    deadline_seconds: float | None = None,
) -> type[APIRoute]:
    """Make the route class of one edge: `APIRouter(route_class=guarded_route(render=...))`.

    Each of its routes declares a scope with `requires`, or `public`; one without either cannot be built. `credentials`
    finds the key, `body` says what bodies may be, and `render` shapes every error. What takes longer than
    `deadline_seconds` is answered as if the database were away; None waits as long as the database is allowed to take.
    """
    edge = _Edge(render, credentials, body, deadline_seconds)

    class GuardedRoute(APIRoute):
        """A route of this edge."""

        def get_route_handler(self) -> _Handler:
            """Give what answers a request, with the framework's own way of calling the function."""
            return _answering(self, edge, super().get_route_handler(), ParsedRequest)

        def hot_handler(self, services: Services) -> _Handler:
            """Give what answers a request, calling the function directly; see `hot`."""
            return _answering(self, edge, bind(self, services), with_parsed)

    return GuardedRoute


@dataclass(frozen=True, slots=True)
class _Edge:
    """What the routes of one edge have in common."""

    render: Render
    credentials: Credentials
    body: BodyRules
    deadline_seconds: float | None


def _answering(route: APIRoute, edge: _Edge, inner: _Handler, parsed: _Parsed) -> _Handler:
    """Put the guards around what calls a route's function, and the renderer around the guards."""
    guarded = _guarded(route, edge, inner, parsed)
    in_time = guarded if edge.deadline_seconds is None else _within(guarded, edge.deadline_seconds)

    async def handle(request: Request) -> Response:
        try:
            return await in_time(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except Exception as error:  # noqa: BLE001 - logged there, and answered
            return _refused(edge, route, request, error)

    return handle


def _refused(edge: _Edge, route: APIRoute, request: Request, error: Exception) -> Response:
    """Render an error.

    A function of its own: `handle` is a frame of the error's traceback, and with the error among its variables every
    refused request would be a cycle of thirty objects.
    """
    known = as_jobtrack_error(error)
    if known.code == "internal_error":
        log.error("A request failed unexpectedly: %s %s", request.method, route.path, exc_info=error)
    return edge.render(request, known)


def _guarded(route: APIRoute, edge: _Edge, inner: _Handler, parsed: _Parsed) -> _Handler:
    scopes = scopes_of(route.dependant)
    is_form = route.body_field is not None and isinstance(route.body_field.field_info, Form)
    takes_json = route.body_field is not None and not is_form

    async def guarded(request: Request) -> Response:
        if scopes:
            check_scope(await authenticate(request, edge.credentials), *scopes)
        check_path(request)
        check_query(request)
        if takes_json:
            return await inner(parsed(request, *await _read_json(request, edge.body)))
        if is_form:
            request._receive = _limited(request.receive, edge.body)  # noqa: SLF001
        return await inner(request)

    return guarded


def _within(handler: _Handler, seconds: float) -> _Handler:
    """Give a handler only so long."""

    async def limited(request: Request) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await handler(request)
        except TimeoutError:
            raise UnavailableError("The database does not answer just now.") from None

    return limited


def check_path(request: Request) -> None:
    """Find nothing at a path that is not UTF-8 (the server would silently replace its bytes), or that holds a NUL."""
    raw = request.scope.get("raw_path") or b""
    if b"%" in raw:
        try:
            text = unquote_to_bytes(raw.partition(b"?")[0]).decode("utf-8")
        except UnicodeDecodeError:
            text = "\x00"
        if "\x00" in text:
            raise NotFoundError("There is nothing at this path.")


def check_query(request: Request) -> None:
    """Refuse a query that is not UTF-8 (the framework would silently replace its bytes), or that holds a NUL."""
    raw = request.scope.get("query_string", b"")
    if b"%" not in raw and raw.isascii():
        return
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("The query is not UTF-8.") from None
    if "\x00" in text:
        sentence = "A query may hold no NUL."
        raise InvalidError(sentence, (FieldError("?", "invalid_text", sentence),))


async def _read_json(request: Request, rules: BodyRules) -> tuple[bytes, Any]:
    """Read and parse; a route that can do without a body gets none when none was sent."""
    body = await read_bytes(request, rules)
    if not body:
        return b"", None
    if rules.json_type_required:
        require_json_type(request)
    return body, parse(body, rules)


def _limited(receive: Receive, rules: BodyRules) -> Receive:
    """Count the bytes of a form, which the framework reads by itself."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > rules.max_bytes:
            raise TooLargeError(f"The body is longer than {rules.max_bytes} bytes.")
        return message

    return counted
