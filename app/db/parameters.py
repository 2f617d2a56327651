"""What a statement takes: a dataclass whose fields are its parameters, bound by code that is generated once.

`Values(Page)` binds one object: `:limit` stands for its field `limit`, with the cast of the field's type. A field that
is a sequence of dataclasses is a batch: `FROM :slots` reads its rows, one array a column. `Batch(RunUpdate)` is a
statement's only parameter: `FROM :rows` reads the rows as `i`. An SQLAlchemy expression has them from `rows_of()`.

A field that is itself a dataclass contributes its fields, each prefixed with its name (`retry: Retry` is
`retry_delay_seconds`, ...), all of them null where the field is None. JSON arrives as text: the statement casts it.
"""

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import count
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import TableValuedAlias

from app.db.expressions import unnested
from app.domain.json_text import JsonText

Input = TypeVar("Input")
RowInput = TypeVar("RowInput")


@dataclass(frozen=True, slots=True)
class SqlType:
    """Names the SQL type of an annotation that does not follow from its Python type."""

    name: str


Int2 = Annotated[int, SqlType("smallint")]
Int4 = Annotated[int, SqlType("integer")]

_SQL_TYPES: Final = {
    UUID: "uuid",
    str: "text",
    bool: "boolean",
    int: "bigint",
    float: "float8",
    bytes: "bytea",
    datetime: "timestamptz",
    timedelta: "interval",
    # JSON.
    Any: "text",
    dict: "text",
}


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the annotation without its `None`, and whether it had one."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, annotation is Any
    rest = [part for part in get_args(annotation) if part is not types.NoneType]
    if len(rest) != 1:
        raise TypeError(f"{annotation} is no single type")
    return rest[0], True


@cache
def fields_of(row_type: Callable[..., Any]) -> Mapping[str, Any]:
    """Return the fields of a dataclass or NamedTuple with their annotations, in order."""
    hints = get_type_hints(row_type, include_extras=True)
    if is_dataclass(row_type):
        return {field.name: hints[field.name] for field in fields(row_type)}
    names: Sequence[str] | None = getattr(row_type, "_fields", None)
    if names is None:
        raise TypeError(f"{row_type.__name__} is neither a dataclass nor a NamedTuple")
    return {name: hints[name] for name in names}


def is_row_type(annotation: Any) -> bool:
    """Whether an annotation is a type with fields of its own."""
    return isinstance(annotation, type) and (is_dataclass(annotation) or hasattr(annotation, "_fields"))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value, or column of values, that goes to the database. `expression` is the Python that reads it."""

    name: str
    sql_type: str
    expression: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class _Marker:
    """What one `:name` of a statement stands for."""

    parameters: tuple[Parameter, ...]
    alias: str | None = None
    """Of a batch: the name its rows have in the statement."""
    numbered: bool = False

    def text(self, casts: Sequence[str]) -> str:
        """Write what the marker of a text stands for."""
        if self.alias is None:
            return casts[0]
        names = [p.name for p in self.parameters]
        ordinality = ""
        if self.numbered:
            ordinality, names = " WITH ORDINALITY", [*names, "n"]
        return f"unnest({', '.join(casts)}){ordinality} AS {self.alias} ({', '.join(names)})"


class Takes(Generic[Input]):
    """What a statement takes: the SQL of each `:name`, and how an input becomes the driver's arguments."""

    def __init__(self, markers: dict[str, _Marker]) -> None:
        self._markers = markers
        self.parameters = tuple(p for marker in markers.values() for p in marker.parameters)

    def in_text(self) -> dict[str, str]:
        """Return the SQL of each name of a text, where a batch has one name."""
        return {name: marker.text(casts) for name, marker, casts in self._casts()}

    def in_expression(self) -> dict[str, str]:
        """Return the SQL of each bound name of an expression, where each column of a batch has its own."""
        return {
            bound: cast
            for name, marker, casts in self._casts()
            for bound, cast in zip(_bound_names(name, marker), casts, strict=True)
        }

    def rows_of(self, name: str = "rows") -> TableValuedAlias:
        """Return a batch as a table for expressions. It has the name that it has in a text."""
        marker = self._markers[name]
        columns = zip((p.name for p in marker.parameters), _bound_names(name, marker), strict=True)
        return unnested(marker.alias or name, **dict(columns))

    def without(self, name: str) -> "Takes[Input]":
        """Return what a statement takes that leaves this parameter out."""
        return Takes({other: marker for other, marker in self._markers.items() if other != name})

    def _casts(self) -> Iterator[tuple[str, _Marker, list[str]]]:
        """Number the parameters, in the order in which `binder` binds them."""
        number = count(1)
        for name, marker in self._markers.items():
            yield name, marker, [f"CAST(${next(number)} AS {p.sql_type})" for p in marker.parameters]

    def binder(self) -> Callable[[Input], Sequence[Any]]:
        """Compile the function that returns the arguments.

        Generated, as the standard library does for dataclasses, so that it costs what one written by hand costs.
        """
        listed = "".join(f"        {p.expression},\n" for p in self.parameters)
        scope: dict[str, Any] = {"_dump": _dump}
        exec(f"def bind(v):\n    return (\n{listed}    )", scope)  # noqa: S102 - made here, of the names of fields
        bind: Callable[[Input], Sequence[Any]] = scope["bind"]
        return bind


def _bound_names(name: str, marker: _Marker) -> list[str]:
    return [name] if marker.alias is None else [f"{name}_{p.name}" for p in marker.parameters]


class Batch(Takes[Sequence[RowInput]], Generic[RowInput]):
    """Rows of one type: `FROM :rows` reads them as `i`, `numbered` with their place from 1 on as column `n`."""

    def __init__(self, row_type: type[RowInput], *, numbered: bool = False) -> None:
        super().__init__({"rows": _Marker(_columns("v", row_type), "i", numbered)})


class Values(Takes[Input]):
    """The fields of one object, each written `:field`. A sequence of dataclasses is a batch that is called like it."""

    def __init__(self, values_type: type[Input]) -> None:
        markers: dict[str, _Marker] = {}
        for name, annotation in fields_of(values_type).items():  # type: ignore[arg-type] # a type can be hashed
            element = _batch_element(annotation)
            if element is not None:
                markers[name] = _Marker(_columns(f"v.{name}", element), name, numbered=True)
            else:
                for parameter in _parameters_of(name, annotation, f"v.{name}", ""):
                    markers[parameter.name] = _Marker((parameter,))
        super().__init__(markers)


NOTHING: Takes[None] = Takes({})
"""For a statement without parameters."""


def _columns(rows: str, row_type: type) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(p.name, f"{p.sql_type}[]", f"[{p.expression} for r in {rows}]", p.nullable)
        for p in _fields("r", row_type)
    )


def _fields(value: str, row_type: type, prefix: str = "", guard: str = "") -> Iterator[Parameter]:
    for n, (name, annotation) in enumerate(fields_of(row_type).items()):
        # By place, so that a plain tuple does where a NamedTuple is declared.
        place = f"{value}[{n}]" if hasattr(row_type, "_fields") else f"{value}.{name}"
        yield from _parameters_of(prefix + name, annotation, place, guard)


def _parameters_of(name: str, annotation: Any, value: str, guard: str) -> Iterator[Parameter]:
    plain, optional = without_none(annotation)
    if is_row_type(plain):
        inner = f"{guard}None if {value} is None else " if optional else guard
        yield from _fields(value, plain, f"{name}_", inner)
    else:
        yield Parameter(name, _sql_type(plain), guard + _dumped(value, plain), optional or bool(guard))


def _batch_element(annotation: Any) -> type | None:
    """Return the row type of a batch, None of any other annotation."""
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is Sequence and is_row_type(arguments[0]) else None


def _sql_type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        named = next((extra for extra in get_args(annotation)[1:] if isinstance(extra, SqlType)), None)
        return named.name if named else _sql_type(get_args(annotation)[0])
    origin = get_origin(annotation) or annotation
    if origin in (tuple, list, frozenset, Sequence):
        return _sql_type(without_none(get_args(annotation)[0])[0]) + "[]"
    if isinstance(origin, type) and issubclass(origin, StrEnum):
        return "text"
    try:
        return _SQL_TYPES[origin]
    except KeyError:
        raise TypeError(f"no SQL type is known for {annotation}") from None


def _dumped(value: str, annotation: Any) -> str:
    origin = get_origin(annotation) or annotation
    return f"_dump({value})" if origin in (Any, dict) else value


def _dump(value: Any) -> str | None:
    if type(value) is JsonText:
        return value.text
    return None if value is None else json.dumps(value)
