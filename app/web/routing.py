"""The route class of every edge: key, scope, body, then the function, and one renderer for whatever goes wrong.

The order is guaranteed: 401 and 403 are sent before any byte of the body is read, so that unauthenticated requests are
cheap.
"""

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, Final
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.domain.errors import InvalidError, MalformedError, NoSpaceError, NotFoundError, UnavailableError
from app.domain.field_error import FieldError
from app.web.auth import Authenticate, bearer, check_scope, scopes_of
from app.web.binding import TYPED_BODY, Handler, bind, typed_reader
from app.web.body import JSON_BODY, BodyRules, TypedReader, parse, read_bytes, require_json_type
from app.web.errors import MethodNotAllowedError, Render
from app.web.framework_errors import as_jobtrack_error
from app.web.problems import request_id

log = logging.getLogger(__name__)

_SERVER_ERROR = 500
CLIENT_GONE = 499
"""nginx's status for a client that disconnected; seen only in the access log."""


def guarded_route(
    *,
    render: Render,
    authenticate: Authenticate = bearer,
    body: BodyRules = JSON_BODY,
    deadline_seconds: float | None = None,
    closed_query: bool = False,
) -> type["GuardedRoute"]:
    """Return the route class of one edge: `APIRouter(route_class=guarded_route(render=...))`.

    Each of its routes declares a scope with `requires`, or `public`; one without either cannot be built. `authenticate`
    finds the caller, `body` says what bodies may be, and `render` shapes every error. What takes longer than
    `deadline_seconds` is answered as if the database were away; None waits as long as the database is allowed to take.
    With `closed_query` query parameters that a route does not declare are refused.
    """

    class EdgeRoute(GuardedRoute):
        edge = _Edge(render, authenticate, body, deadline_seconds, closed_query)

    return EdgeRoute


RECHECK_SECONDS: Final = 1.0
"""A key is checked again after a body that took longer to come: it may have ended in between, and a body may take half
a minute.
"""


@dataclass(frozen=True, slots=True)
class _Edge:
    """What the routes of one edge have in common."""

    render: Render
    authenticate: Authenticate
    body: BodyRules
    deadline_seconds: float | None
    closed_query: bool


class GuardedRoute(APIRoute):
    """A route that FastAPI declares and documents, and whose function is called by us, behind the guards of its edge.

    Its function returns a Response.
    """

    edge: ClassVar[_Edge]

    def get_route_handler(self) -> Handler:
        """Return what answers a request."""
        return _answering(self, self.edge)

    def get_refusal(self, allow: str) -> Handler:
        """Return what answers the methods that the route's path does not take; `allow` lists those that it does."""

        async def refuse(request: Request) -> Response:
            return self.edge.render(request, MethodNotAllowedError(allow))

        return refuse


def _answering(route: APIRoute, edge: _Edge) -> Handler:
    """Put the guards around what calls a route's function, and the renderer around the guards."""
    guarded = _guarded(route, edge)
    in_time = guarded if edge.deadline_seconds is None else _within(guarded, edge.deadline_seconds)

    async def handle(request: Request) -> Response:
        try:
            return await in_time(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except Exception as error:  # noqa: BLE001 - logged there, and answered
            return _error_response(edge, route, request, error)

    return handle


def _error_response(edge: _Edge, route: APIRoute, request: Request, error: Exception) -> Response:
    """Render an error.

    A function of its own: `handle` is a frame of the error's traceback, and with the error among its variables every
    refused request would be a cycle of thirty objects. Each answer of ours that is a 5xx has one line with its cause;
    of a full disk there is one a minute, for the log may lie on it.
    """
    known = as_jobtrack_error(error)
    if known.code == "internal_error":
        log.error("A request failed unexpectedly: %s %s", request.method, route.path, exc_info=error)
    response = edge.render(request, known)
    if response.status_code >= _SERVER_ERROR and known.code not in {"internal_error", NoSpaceError.code}:
        cause = error.__cause__ or error
        log.warning(
            "%s %s is answered %d %s (request %s), for %s: %s",
            request.method,
            route.path,
            response.status_code,
            known.code,
            request_id(request),
            type(cause).__name__,
            str(cause).partition("\n")[0],
        )
    return response


def _guarded(route: APIRoute, edge: _Edge) -> Handler:
    scopes = scopes_of(route.dependant)
    call = bind(route, closed_query=edge.closed_query)
    takes_json = route.body_field is not None
    read_typed = typed_reader(route)

    async def guarded(request: Request) -> Response:
        if scopes:
            check_scope(await edge.authenticate(request), *scopes)
        check_path(request)
        check_query(request)
        if takes_json:
            began = monotonic()
            await _read_json(request, edge.body, read_typed)
            if scopes and monotonic() - began > RECHECK_SECONDS:
                await edge.authenticate(request)
        return await call(request)

    return guarded


def _within(handler: Handler, seconds: float) -> Handler:
    """Limit the time of a handler."""

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
        raise InvalidError([FieldError("?", "invalid_text", "A query may hold no NUL.")])


async def _read_json(request: Request, rules: BodyRules, read_typed: TypedReader | None) -> None:
    """Read and parse the body by our rules, and leave it where `request.body` and `request.json` find it.

    A route that can do without a body gets none when none was sent. A body that the typed reader takes is parsed only
    for the fingerprint of a call with a key, so that it is the same whichever way a repeat comes.
    """
    body = await read_bytes(request, rules)
    parsed = None
    if body:
        if rules.json_type_required:
            require_json_type(request)
        typed = None if read_typed is None else read_typed(body, rules)
        request.scope[TYPED_BODY] = typed
        if typed is None or "idempotency-key" in request.headers:
            parsed = parse(body, rules)
    request._body = body  # noqa: SLF001
    request._json = parsed  # noqa: SLF001
