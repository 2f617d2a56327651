"""Hot routes: declared, validated and documented like every route, and served without the framework's machinery.

FastAPI resolves the parameters of a call anew for each request, through a tree of dependencies, two exit stacks and a
router that tries path after path: some 100 microseconds (measured: 9,400 requests a second, where the same answer
without it reached 24,000). The calls that come by the thousand need none of that. So a route whose function is marked
with `@hot` has its parameters looked at once, when the application is built, and `HotRoutes`, in front of the router,
finds it by a look into a table and calls the very same function. What checks keys, scopes, bodies and errors is the
same code too (`routing.guarded_route`); the tests of these routes run through both ways.

Whatever is out of the ordinary (a query, an escaped path, an id of another shape, HEAD) takes the plain way, which
answers it as it would have anyway.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from inspect import Parameter, signature
from time import perf_counter
from typing import Any, Protocol, TypeVar, cast, get_args, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.params import Body, Depends, Path, Query, Security
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core.waiting import time_waits
from app.domain.errors import InvalidError
from app.domain.ids import UUID_TEXT_LENGTH
from app.web.deps import principal, services
from app.web.edge import dressed, request_id_of
from app.web.errors import field_errors
from app.web.telemetry import HttpMetrics

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Response]])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Resolve = Callable[[Request], Any]

_MARK = "__hot__"


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

    def hot_handler(self) -> Handler:
        """Give what answers a request."""


def hot_routes(routers: Iterable[APIRouter]) -> list[HotRoute]:
    """Find the marked routes; each must be of a guarded class."""
    routes = (route for router in routers for route in router.routes)
    return [cast("HotRoute", route) for route in routes if isinstance(route, APIRoute) and is_hot(route.endpoint)]


def bind(route: APIRoute) -> Handler:
    """Look at a function's parameters once; gives what calls it with them. One that it cannot fill: LookupError."""
    endpoint = route.endpoint
    hints = get_type_hints(endpoint, include_extras=True)
    parts = {name: _resolver(route, hints[name], one) for name, one in signature(endpoint).parameters.items()}
    plain = [(name, part) for name, part in parts.items() if not isinstance(part, _Body)]
    bodies = [(name, part) for name, part in parts.items() if isinstance(part, _Body)]

    async def call(request: Request) -> Response:
        arguments = {name: resolve(request) for name, resolve in plain}
        for name, body in bodies:
            arguments[name] = await body.read(request)
        response: Response = await endpoint(**arguments)
        return response

    return call


def _resolver(route: APIRoute, hint: Any, parameter: Parameter) -> "Resolve | _Body":
    if hint is Request:
        return _the_request
    kind, *marks = get_args(hint)
    mark = next((one for one in marks if isinstance(one, Body | Depends | Path | Query)), None)
    if isinstance(mark, Security):
        return principal
    if isinstance(mark, Depends):
        return _DEPENDENCIES[mark.dependency.__name__]  # type: ignore[union-attr]
    if isinstance(mark, Path):
        return _path_parameter(mark.alias or parameter.name)
    if isinstance(mark, Query):
        # There is no query, or the plain way would have been taken.
        return _constant(parameter.default)
    if isinstance(mark, Body):
        return _Body(TypeAdapter(kind))
    raise LookupError(f"{route.path} cannot be hot: nothing is known of its parameter {parameter.name}")


_DEPENDENCIES: dict[str, Resolve] = {"_services": services, "_principal": principal}
"""By the names that `deps` gives them."""


def _the_request(request: Request) -> Request:
    return request


def _path_parameter(name: str) -> Resolve:
    return lambda request: request.path_params[name]


def _constant(value: Any) -> Resolve:
    return lambda _: value


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


class HotRoutes:
    """The application's outermost layer: it answers hot routes by itself and passes everything else on.

    What the edge and the telemetry do for all others, they do for these here, by the same functions.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[HotRoute], metrics: HttpMetrics | None = None) -> None:
        self.app = app
        self._metrics = metrics
        # By method and by the steps of the path, with None for the one that is an id.
        self._handlers: dict[tuple[str, tuple[str | None, ...]], tuple[HotRoute, Handler, str | None]] = {}
        self._places: dict[int, int] = {}
        """Where the id stands in a path, by the number of its steps."""
        for route in routes:
            self._add(route)

    def _add(self, route: HotRoute) -> None:
        steps = route.path.split("/")
        places = [place for place, step in enumerate(steps) if step.startswith("{")]
        name = None
        if places:
            [place] = places
            name = steps[place].strip("{}")
            if self._places.setdefault(len(steps), place) != place:
                raise LookupError(f"{route.path} cannot be hot: its id stands elsewhere than in paths as long")
        shape = tuple(None if step.startswith("{") else step for step in steps)
        for method in route.methods:
            self._handlers[method, shape] = (route, route.hot_handler(), name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        handler = self._find(scope) if scope["type"] == "http" else None
        if handler is None:
            await self.app(scope, receive, send)
            return
        began, waited, metrics = perf_counter(), time_waits(), self._metrics
        # What the framework would have put there.
        scope["app"] = self.app
        scope["state"] = {"request_id": request_id_of(scope)}
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, partial(_dressed_send, scope, send))
        if metrics is not None:
            seconds = waited.seconds()
            metrics.answered(scope, response.status_code, perf_counter() - began - seconds)
            if seconds:
                metrics.waited(scope, seconds)

    def _find(self, scope: Scope) -> Handler | None:
        if scope["query_string"] or b"%" in scope["raw_path"]:
            return None
        steps: list[str | None] = [*scope["path"].split("/")]
        entry = self._handlers.get((scope["method"], tuple(steps)))
        if entry is None:
            place = self._places.get(len(steps))
            if place is None:
                return None
            text, steps[place] = steps[place], None
            entry = self._handlers.get((scope["method"], tuple(steps)))
            if entry is None or text is None or len(text) != UUID_TEXT_LENGTH:
                return None
            scope["path_params"] = {entry[2]: text}
        # What metrics are told by.
        scope["route"] = entry[0]
        return entry[1]


async def _dressed_send(scope: Scope, send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = dressed(message["headers"], scope["state"]["request_id"], scope["path"])
    await send(message)
