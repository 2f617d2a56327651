"""What a hot route's function is called with: looked at once, when the application is built, and filled per request.

FastAPI's own marks (`Path`, `Query`, `Body`, `Depends`) say what each parameter is, so that a hot route is declared
like any other. A parameter that this cannot fill is refused when the application is built.
"""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from inspect import Parameter, signature
from typing import Annotated, Any, Final, get_args, get_type_hints

from fastapi import Request, Response
from fastapi.params import Body, Depends, Path, Query, Security
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from app.domain.errors import InvalidError
from app.web.deps import Services, principal
from app.web.errors import field_errors

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Resolve = Callable[[Request], Any]
Queries = Mapping[bytes, tuple[str, TypeAdapter[Any]]]
"""The parameters of a query by their names in it: the function's name for each, and what validates it."""

QUERY: Final = "jobtrack.query"
"""Where a request's scope keeps the parameters of its query, validated."""


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
        """Give what validates it."""
        hint: Any = Annotated[kind, self._query]
        return TypeAdapter(hint)

    def resolver(self, name: str) -> Resolve:
        """Give what finds it among the parameters that were validated before."""
        default = self._default
        return lambda request: request.scope[QUERY].get(name, default)


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


def queries_of(endpoint: Callable[..., Any]) -> Queries:
    """Give the parameters that a function takes from the query, held to the bounds that the plain way holds them to."""
    return {
        name.encode(): (name, mark.adapter(kind))
        for name, (kind, mark) in _marks(endpoint).items()
        if isinstance(mark, _Default)
    }
