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
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from inspect import Parameter, signature
from time import perf_counter
from typing import Annotated, Any, Final, Protocol, TypeVar, cast, get_args, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.params import Body, Depends, Path, Query, Security
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.waiting import time_waits
from app.domain.errors import InvalidError
from app.domain.ids import UUID_TEXT_LENGTH
from app.web.deps import Services, principal
from app.web.edge import dressed, request_id_of
from app.web.errors import field_errors
from app.web.telemetry import HttpMetrics

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Resolve = Callable[[Request], Any]

_MARK = "__hot__"
_QUERY: Final = "jobtrack.query"
"""Where a request's scope keeps the parameters of its query, validated."""
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


def bind(route: APIRoute, services: Services) -> Handler:
    """Look at a function's parameters once; gives what calls it with them. One that it cannot fill: LookupError."""
    parts = {name: _part_of(route, services, name, kind, mark) for name, (kind, mark) in _marks(route.endpoint).items()}
    endpoint = partial(route.endpoint, **{name: part.value for name, part in parts.items() if isinstance(part, _Given)})
    plain = [(name, part) for name, part in parts.items() if not isinstance(part, _Body | _Given)]
    bodies = [(name, part) for name, part in parts.items() if isinstance(part, _Body)]

    async def call(request: Request) -> Response:
        arguments = {name: resolve(request) for name, resolve in plain}
        for name, body in bodies:
            arguments[name] = await body.read(request)
        response: Response = await endpoint(**arguments)
        return response

    return call


def _marks(endpoint: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Give the type of each parameter, and what FastAPI is told about it."""
    hints = get_type_hints(endpoint, include_extras=True)
    found = {}
    for name, parameter in signature(endpoint).parameters.items():
        kind, *marks = get_args(hints[name]) or (hints[name],)
        mark = next((one for one in marks if isinstance(one, Body | Depends | Path | Query)), None)
        found[name] = (kind, _Default(mark, parameter) if isinstance(mark, Query) else mark)
    return found


def _part_of(route: APIRoute, services: Services, name: str, kind: Any, mark: Any) -> "Resolve | _Body | _Given":
    if kind is Request:
        return _the_request
    if isinstance(mark, Security) or (isinstance(mark, Depends) and _name_of(mark) == "_principal"):
        return principal
    if isinstance(mark, Depends) and _name_of(mark) == "_services":
        return _Given(services)
    if isinstance(mark, Path):
        return _path_parameter(mark.alias or name)
    if isinstance(mark, _Default):
        return mark.resolver(name)
    if isinstance(mark, Body):
        return _Body(TypeAdapter(kind))
    raise LookupError(f"{route.path} cannot be hot: nothing is known of its parameter {name}")


def _name_of(mark: Depends) -> str:
    return str(getattr(mark.dependency, "__name__", ""))


def _the_request(request: Request) -> Request:
    return request


def _path_parameter(name: str) -> Resolve:
    return lambda request: request.scope["path_params"][name]


class _Given:
    """A parameter that is the same for every request."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Default:
    """A parameter of the query, with its default."""

    def __init__(self, query: Query, parameter: Parameter) -> None:
        self._query = query
        self._default = parameter.default

    def adapter(self, kind: Any) -> TypeAdapter[Any]:
        """Give what validates it, by the bounds that the plain way holds it to."""
        hint: Any = Annotated[kind, self._query]
        return TypeAdapter(hint)

    def resolver(self, name: str) -> Resolve:
        """Give what finds it among the parameters that were validated before."""
        default = self._default
        return lambda request: request.scope[_QUERY].get(name, default)


class _Body:
    """A parameter that is the request's body."""

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        self._adapter = adapter

    async def read(self, request: Request) -> Any:
        """Validate what was parsed already."""
        try:
            return self._adapter.validate_python(await request.json())
        except ValidationError as error:
            raise InvalidError("The request is not valid.", field_errors(error.errors())) from None


class _Entry:
    """A hot route, ready to be called."""

    __slots__ = ("handler", "id_name", "queries", "route")

    def __init__(self, route: HotRoute, services: Services, id_name: str | None) -> None:
        self.route = route
        self.handler = route.hot_handler(services)
        self.id_name = id_name
        self.queries: Mapping[bytes, tuple[str, TypeAdapter[Any]]] = {
            name.encode(): (name, mark.adapter(kind))
            for name, (kind, mark) in _marks(route.endpoint).items()
            if isinstance(mark, _Default)
        }

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
        scope["path_params"], scope[_QUERY] = found_id, found
        # What metrics are told by.
        scope["route"] = entry.route
        return entry


async def _dressed_send(scope: Scope, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = dressed(message["headers"], scope["state"]["request_id"], scope["path"])
    await send(message)
