"""Hot routes: declared, validated and documented like every route, and served without the framework's machinery.

FastAPI resolves the parameters of a call anew for each request, through a tree of dependencies, two exit stacks and a
router that tries path after path: some 100 microseconds (measured: 9,400 requests a second, where the same answer
without it reached 24,000). The calls that come by the thousand need none of that. So a route whose function is marked
with `@hot` has its parameters looked at once, when the application is built, and `HotRoutes`, in front of the router,
finds it by a look into a table and calls the very same function. What checks keys, scopes, bodies and errors is the
same code too (`routing.guarded_route`); the tests of these routes run through both ways.

Whatever is out of the ordinary (an escaped path or query, a parameter that is not valid, an id of another shape, HEAD)
takes the plain way, which answers it as it would have anyway.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Any, Final, Protocol, TypeVar, cast

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.wait_clock import time_waits
from app.domain.ids import UUID_TEXT_LENGTH
from app.web.binding import QUERY, Handler, queries_of
from app.web.deps import Services
from app.web.edge import dressed, request_id_of
from app.web.telemetry import HttpMetrics

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])

_MARK = "__hot__"
_PLAIN_QUERY: Final = re.compile(rb"[a-z_]+=[A-Za-z0-9_.-]+(?:&[a-z_]+=[A-Za-z0-9_.-]+)*")
"""A query in which nothing is escaped, empty or left out."""


def hot(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function as one to be called directly: `@router.get(...)` above it, `@hot` below."""
    setattr(endpoint, _MARK, True)
    return endpoint


def is_hot(endpoint: Callable[..., Any]) -> bool:
    """Whether a route's function is marked."""
    return bool(getattr(endpoint, _MARK, False))


class HotRoute(Protocol):
    """What `HotRoutes` needs of a route; the guarded ones have it."""

    path: str
    methods: set[str]
    endpoint: Callable[..., Any]

    def hot_handler(self, services: Services) -> Handler:
        """Give what answers a request."""


def hot_routes(routers: Iterable[APIRouter]) -> list[HotRoute]:
    """Find the marked routes; each must be of a guarded class."""
    routes = (route for router in routers for route in router.routes)
    return [cast("HotRoute", route) for route in routes if isinstance(route, APIRoute) and is_hot(route.endpoint)]


class _Entry:
    """A hot route, ready to be called."""

    __slots__ = ("handler", "id_name", "queries", "route")

    def __init__(self, route: HotRoute, services: Services, id_name: str | None) -> None:
        self.route = route
        self.handler = route.hot_handler(services)
        self.id_name = id_name
        self.queries = queries_of(route.endpoint)

    def read(self, query: bytes) -> dict[str, Any] | None:
        """Validate the parameters of a query; None for one that is out of the ordinary."""
        if not _PLAIN_QUERY.fullmatch(query):
            return None
        found: dict[str, Any] = {}
        for part in query.split(b"&"):
            name, _, text = part.partition(b"=")
            known = self.queries.get(name)
            if known is None or known[0] in found:
                return None
            try:
                found[known[0]] = known[1].validate_python(text.decode())
            except ValidationError:
                return None
        return found


_NO_QUERY: Final[Mapping[str, Any]] = {}


class HotRoutes:
    """The application's outermost layer: it answers hot routes by itself and passes everything else on.

    What the edge and the telemetry do for all others, they do for these here, by the same functions.
    """

    def __init__(
        self, app: ASGIApp, routes: Iterable[HotRoute], services: Services, metrics: HttpMetrics | None = None
    ) -> None:
        self.app = app
        self._metrics = metrics
        self._exact: dict[tuple[str, str], _Entry] = {}
        self._around: dict[tuple[str, str, str], _Entry] = {}
        """By method and by what stands in front of an id and behind it."""
        for route in routes:
            before, opened, rest = route.path.partition("{")
            name, _, after = rest.partition("}")
            for method in route.methods:
                if opened:
                    self._around[method, before, after] = _Entry(route, services, name)
                else:
                    self._exact[method, before] = _Entry(route, services, None)
        self._starts = sorted({len(before) for _, before, _ in self._around})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        entry = self._find(scope) if scope["type"] == "http" else None
        if entry is None:
            await self.app(scope, receive, send)
            return
        began, waited, metrics = perf_counter(), time_waits(), self._metrics
        # What the framework would have put there.
        scope["app"] = self.app
        request_id = request_id_of(scope)
        scope["state"] = {"request_id": request_id}
        response = await entry.handler(Request(scope, receive, send))
        if type(response) is Response:
            # Its own way of sending itself, less what is for websockets and for tasks afterwards.
            headers = dressed(response.raw_headers, request_id, scope["path"])
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
        else:
            await response(scope, receive, partial(_dressed_send, scope, send))
        if metrics is not None:
            seconds = waited.seconds()
            metrics.answered(scope, response.status_code, perf_counter() - began - seconds)
            if seconds:
                metrics.waited(scope, seconds)

    def _find(self, scope: Scope) -> _Entry | None:
        path, method = scope["path"], scope["method"]
        found_id: dict[str | None, str] = {}
        entry = self._exact.get((method, path))
        if entry is None:
            for start in self._starts:
                end = start + UUID_TEXT_LENGTH
                entry = self._around.get((method, path[:start], path[end:]))
                if entry is not None:
                    break
            else:
                return None
            text = path[start:end]
            if len(text) != UUID_TEXT_LENGTH or "/" in text:
                return None
            found_id = {entry.id_name: text}
        if b"%" in scope["raw_path"]:
            return None
        query = scope["query_string"]
        found = entry.read(query) if query else _NO_QUERY
        if found is None:
            return None
        scope["path_params"], scope[QUERY] = found_id, found
        # What metrics are told by.
        scope["route"] = entry.route
        return entry


async def _dressed_send(scope: Scope, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = dressed(message["headers"], scope["state"]["request_id"], scope["path"])
    await send(message)
