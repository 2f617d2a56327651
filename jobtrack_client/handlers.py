"""Which function handles which type of job: the decorator, and what a worker accepts as its handlers.

The types stand on the function itself. There is no registry: a worker takes what it is given, or what a module holds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, TypeAlias, TypeVar

from jobtrack_client.handler import Handler

F = TypeVar("F", bound=Handler)
Handlers: TypeAlias = "Mapping[str, Handler] | ModuleType | Handler | Iterable[Handler | ModuleType]"
"""A mapping from type to handler, a decorated function, a module that holds some, or several of the last two."""

_TYPES = "__jobtrack_types__"


class NoHandlerError(ValueError):
    """What a worker was given holds no handler, or two for the same type."""


def job(type: str) -> Callable[[F], F]:  # noqa: A002  the name on the wire
    """Mark a function as the handler of a job type; a function may have several. It stays the function that it is.

    `Worker(types=[...])` and `jobtrack worker module` take the functions that are marked so.
    """
    if not type or callable(type):  # as of `@job` without a type
        raise TypeError('the decorator takes the type of the jobs: @job("nightly")')

    def mark(function: F) -> F:
        vars(function)[_TYPES] = (type, *_types_of(function))
        return function

    return mark


def handlers_of(source: Handlers, where: str = "types") -> dict[str, Handler]:
    """Return the handlers by type. Raises `NoHandlerError`; `where` is how it calls the source."""
    if isinstance(source, Mapping):
        found = dict(source)
        for name, handler in found.items():
            if not isinstance(name, str) or not callable(handler):
                raise NoHandlerError(f"{where} maps a type to a function, not {name!r} to {handler!r:.100}")
    else:
        found = {}
        for function in _functions(source, where):
            for name in _types_of(function):
                if found.setdefault(name, function) is not function:
                    raise NoHandlerError(f"{where} holds two handlers for the type {name!r}")
    if not found:
        raise NoHandlerError(f'{where} holds no handler: write @job("type") above the function')
    return found


def _functions(source: Any, where: str) -> Iterator[Handler]:
    if isinstance(source, ModuleType):
        yield from (value for value in vars(source).values() if _types_of(value))
    elif callable(source):
        if not _types_of(source):
            name = getattr(source, "__name__", repr(source))
            raise NoHandlerError(f'{where}: {name} is a function without a type: write @job("type") above it')
        yield source
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes):
        for part in source:
            yield from _functions(part, where)
    else:
        raise NoHandlerError(f"{where} holds no handler, it is {source!r:.100}")


def _types_of(value: object) -> tuple[str, ...]:
    # Not `getattr`: a module may hold proxies and mocks that answer to any name, or raise.
    types = inspect.getattr_static(value, _TYPES, ())
    return types if isinstance(types, tuple) else ()
