"""What calls a route's function: worked out once, when the route is declared, and filled for each request.

FastAPI declares, documents and validates a route's parameters. To call its function, it would also resolve a tree of
dependencies for each request, inside two exit stacks: some 100 microseconds (9,400 requests a second, where the same
answer without it reached 24,000). So the function is called from here, with parameters that FastAPI's own functions
read, and with the few dependencies that our routes have. Whatever else a route asks for is refused when it is declared:
left out silently, it could be somebody's guard.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from inspect import iscoroutinefunction, signature
from typing import Any, Final, TypeAlias, cast

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.params import Body
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from app.web.auth import KeyScheme, nobody
from app.web.body import TypedReader
from app.web.closed_query import query_check
from app.web.deps import actor, principal, services
from app.web.idempotency import idempotency_of, idempotency_of_ending

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
_Find: TypeAlias = Callable[[Request], Any]
_Found: TypeAlias = tuple[dict[str, Any], list[Any]]
"""Values by the names of their parameters, and what is wrong with the others."""
_Read: TypeAlias = Callable[[Request], _Found]

TYPED_BODY: Final = "jobtrack.typed_body"
"""Where a request has its body when a typed reader took it, None otherwise."""
_NO_BODY: Final = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


def bind(route: APIRoute, *, closed_query: bool = False) -> Handler:
    """Return what calls a route's function with its parameters; raise LookupError if it asks for anything unknown.

    With `closed_query` a request with a query parameter that the route does not declare is an error.
    """
    endpoint = route.endpoint
    dependant = route.dependant
    given = tuple(_given(route))
    readers = (*_query_checks(dependant, closed_query=closed_query), *_readers(dependant))
    body = _body_of(dependant)
    known = {
        *(name for name, _ in given),
        *(field.name for field in (*dependant.path_params, *dependant.query_params, *dependant.header_params)),
        *(() if body is None else (body.name,)),
    }
    if unknown := signature(endpoint).parameters.keys() - known:
        raise LookupError(f"{route.path} cannot be called: its parameter {min(unknown)} is not known")
    if not iscoroutinefunction(endpoint):
        raise LookupError(f"{route.path} cannot be called: its function is not asynchronous")

    async def call(request: Request) -> Response:
        arguments = {name: find(request) for name, find in given}
        errors: list[Any] = []
        for read in readers:
            values, wrong = read(request)
            arguments.update(values)
            errors += wrong
        if body is not None:
            arguments[body.name], wrong = await _read_body(body, request)
            errors += wrong
        if errors:
            raise RequestValidationError(errors)
        answering = endpoint(**arguments)
        # A wait may last for minutes, and there are ten thousand: its function keeps what it needs of them.
        del arguments
        return cast("Response", await answering)

    return call


def _given(route: APIRoute) -> Iterator[tuple[str, _Find]]:
    """Yield the parameters that need no validation, and what finds each one."""
    dependant = route.dependant
    if dependant.request_param_name is not None:
        yield dependant.request_param_name, _the_request
    for dependency in dependant.dependencies:
        if dependency.name is None and dependency.call is nobody:
            continue
        find = _find_of(dependency.call)
        if find is None:
            raise LookupError(f"{route.path} cannot be called: its dependency {dependency.call} is not known")
        if dependency.name is not None:
            yield dependency.name, find
    for field in dependant.path_params:
        if _is_plain_text(field):
            yield field.name, _path_text(field.alias)


def _find_of(dependency: object) -> _Find | None:
    """Return what finds a dependency's value. Each is known by being our own function, whatever it is called."""
    if isinstance(dependency, KeyScheme):
        return principal
    known = (services, principal, actor, idempotency_of, idempotency_of_ending)
    return next((one for one in known if dependency is one), None)


def _the_request(request: Request) -> Request:
    return request


def _is_plain_text(field: Any) -> bool:
    """Whether a parameter of the path is any text: validating that would take five microseconds."""
    return field.field_info.annotation is str and not field.field_info.metadata


def _path_text(alias: str) -> _Find:
    return lambda request: request.scope["path_params"][alias]


def _query_checks(dependant: Dependant, *, closed_query: bool) -> Iterator[_Read]:
    """Yield what refuses unknown query parameters, before the reading of the others: their errors explain the rest."""
    if closed_query:
        check = query_check(dependant)
        yield lambda request: ({}, check(request))


def _readers(dependant: Dependant) -> Iterator[_Read]:
    """Yield what reads the parameters that are validated: in the path, the query, and the headers."""
    bounded = [field for field in dependant.path_params if not _is_plain_text(field)]
    if bounded:
        yield lambda request: request_params_to_args(bounded, request.scope["path_params"])
    if dependant.query_params:
        yield _query_reader(dependant.query_params)
    if dependant.header_params:
        yield lambda request: request_params_to_args(dependant.header_params, request.headers)


def _query_reader(fields: Sequence[Any]) -> _Read:
    # Most requests have no query, and what that comes to is always the same.
    without = request_params_to_args(fields, QueryParams())

    def read(request: Request) -> _Found:
        return request_params_to_args(fields, request.query_params) if request.scope["query_string"] else without

    return read


def _body_of(dependant: Dependant) -> Any:
    """Return the one parameter that is the whole JSON body, if there is one. Not a form, whose class is another."""
    match dependant.body_params:
        case [field] if type(field.field_info) is Body and not field.field_info.embed:
            return field
        case _:
            return None


def typed_reader(route: APIRoute) -> TypedReader | None:
    """Return what else reads the body of a route: the reader that its very model has."""
    field = _body_of(route.dependant)
    model = None if field is None else field.field_info.annotation
    reader: TypedReader | None = vars(model).get("typed_reader") if isinstance(model, type) else None
    return reader


async def _read_body(field: Any, request: Request) -> tuple[Any, list[Any]]:
    """Validate the body, which the guards have read and parsed, unless it was read by its types."""
    typed = request.scope.get(TYPED_BODY)
    if typed is not None:
        return typed, []
    if await request.body():
        value, errors = field.validate(await request.json(), {}, loc=("body",))
        return value, errors
    return (None, [_NO_BODY]) if field.field_info.is_required() else (field.get_default(), [])
