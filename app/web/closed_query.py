"""Queries that take the parameters which their route declares, and no others.

A filter whose name is spelled wrong would be no filter (axios writes `status[]` for a list, and got every job), and of
a single value that is sent twice, with two meanings, one would be dropped.
"""

from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

MAX_NAME: Final = 255
"""How much of an unknown name is repeated in the error."""
_UNKNOWN: Final = "This operation has no such query parameter."
_TWO_VALUES: Final = "This query parameter takes one value."

Check: TypeAlias = Callable[[Request], list[Any]]
"""Returns what is wrong with a query, as the framework's errors."""


def query_check(dependant: Dependant) -> Check:
    """Return the check of a route's queries."""
    takes_many = {name: many for field in dependant.query_params for name, many in _parameters(field)}

    def check(request: Request) -> list[Any]:
        if not request.scope["query_string"]:
            return []
        values: dict[str, set[str]] = {}
        for name, value in request.query_params.multi_items():
            values.setdefault(name, set()).add(value)
        unknown = [_error("extra_forbidden", name, _UNKNOWN) for name in values if name not in takes_many]
        # A URL of a page to which the client's own parameters were added repeats them, and means the same.
        ambiguous = [name for name, sent in values.items() if len(sent) > 1 and not takes_many.get(name, True)]
        return unknown + [_error("repeated", name, _TWO_VALUES) for name in ambiguous]

    return check


def _error(code: str, name: str, sentence: str) -> dict[str, Any]:
    return {"type": code, "loc": ("query", name[:MAX_NAME]), "msg": sentence, "input": None}


def _parameters(field: Any) -> Iterator[tuple[str, bool]]:
    """Yield the names of a declared parameter, several where a model declares them, and whether each is a list."""
    annotation = field.field_info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            yield info.alias or name, _is_list(info.annotation)
    else:
        yield field.alias, _is_list(annotation)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_list(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(_is_list(member) for member in get_args(annotation))
    return (origin or annotation) is list
