"""What a statement returns: a dataclass whose fields are its columns, read by code that is generated once.

A field's column has the field's name in the table that the projection is made for, unless the projection says what
else it is: an SQL expression, or a projection of its own. A field that is itself a dataclass is read from the columns
that are prefixed with its name (`retry: Retry` from `retry_delay_seconds`, ...); an optional one is None where the
first of them is null.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from inspect import Parameter, signature
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

from sqlalchemy import Column, ColumnElement, FromClause, Label, literal_column

from app.db.column_types import fault_of
from app.db.expressions import text_of
from app.db.parameters import fields_of, is_row_type, without_none

T = TypeVar("T")
LEFT_OUT: Final = object()
"""For a field that keeps its default: the statement does not read it."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One column: its SQL, and the function that converts the driver's value to the field's."""

    sql: str | ColumnElement[Any]
    annotation: Any
    convert: Callable[[Any], Any] | None = None

    @property
    def text(self) -> str:
        """The expression as SQL text."""
        return self.sql if isinstance(self.sql, str) else text_of(self.sql)


def _leaf(annotation: Any, sql: str | ColumnElement[Any], *, absent: str | None = None) -> Leaf:
    if isinstance(sql, Column) and (fault := fault_of(annotation, sql, absent=absent)):
        raise TypeError(fault)
    plain, optional = without_none(annotation)
    return Leaf(sql, annotation, _conversion(plain, optional=optional))


def reading(sql: str | ColumnElement[Any], convert: Callable[[Any], Any]) -> Leaf:
    """Read a column through a function, for types that no annotation says how to read."""
    return Leaf(sql, Any, convert)


class Projection(Generic[T]):
    """The columns of a row, as one object."""

    def __init__(
        self,
        row_type: Callable[..., T],
        source: FromClause | str | None = None,
        columns: Mapping[str, Any] | None = None,
        *,
        prefix: str = "",
        absent_without: str | None = None,
    ) -> None:
        """`source` is the table, or the alias, whose columns the fields are that `columns` does not name.

        With `absent_without` the object is None in a row where the field of that name is null.
        """
        self.row_type = row_type
        self._source = source
        self._columns = dict(columns or {})
        self._prefix = prefix
        self.absent_without = absent_without
        self._parts: dict[str, Leaf | Projection[Any]] = {}
        for name, annotation in fields_of(row_type).items():
            part = self._part(name, annotation, self._columns.get(name))
            if part is not None:
                self._parts[name] = part
        if unknown := self._columns.keys() - fields_of(row_type).keys():
            raise TypeError(f"{row_type} has no field {', '.join(sorted(unknown))}")

    def _part(self, name: str, annotation: Any, given: Any) -> "Leaf | Projection[Any] | None":
        if given is LEFT_OUT:
            if signature(self.row_type).parameters[name].default is Parameter.empty:
                raise TypeError(f"{self.row_type}.{name} has no default to keep")
            return None
        plain, optional = without_none(annotation)
        if isinstance(given, Projection):
            if given.row_type is not plain or (given.absent_without and not optional):
                raise TypeError(f"{self.row_type}.{name} is {annotation}, and not what is read into {given.row_type}")
            return given
        if isinstance(given, Leaf):
            return Leaf(given.sql, annotation, given.convert)
        if given is None and is_row_type(plain):
            first = next(iter(fields_of(plain)))
            inner = f"{self._prefix}{name}_"
            return Projection(plain, self._source, prefix=inner, absent_without=first if optional else None)
        return _leaf(annotation, self._default(name) if given is None else given, absent=self.absent_without)

    def _default(self, name: str) -> str | ColumnElement[Any]:
        if self._source is None:
            raise TypeError(f"{self.row_type}: nothing says where {name} is read from")
        if isinstance(self._source, str):
            return f"{self._source}.{self._prefix}{name}"
        found: ColumnElement[Any] | None = self._source.c.get(self._prefix + name)
        if found is None:
            raise TypeError(f"{self.row_type}: {self._source.description} has no column {self._prefix + name}")
        return found

    def but(self, **columns: Any) -> "Projection[T]":
        """Return this projection with other columns for some fields."""
        return Projection(
            self.row_type,
            self._source,
            self._columns | columns,
            prefix=self._prefix,
            absent_without=self.absent_without,
        )

    def over(self, alias: str, *, prefix: str = "", absent_without: str | None = None) -> "Projection[T]":
        """Return the same object, read from a subquery that selects this projection's columns under its labels."""
        columns = {name: given for name, given in self._columns.items() if given is LEFT_OUT}
        for name, part in self._parts.items():
            label = f"{prefix}{name}"
            if isinstance(part, Leaf):
                columns[name] = Leaf(f"{alias}.{label}", part.annotation, part.convert)
            else:
                columns[name] = part.over(alias, prefix=f"{label}_")
        return Projection(self.row_type, alias, columns, absent_without=absent_without or self.absent_without)

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
        """Iterate over the columns with their labels, in the order in which they are read."""
        for name, part in self._parts.items():
            if isinstance(part, Leaf):
                yield prefix + name, part
            else:
                yield from part.leaves(f"{prefix}{name}_")

    @property
    def select_list(self) -> str:
        """The columns as SQL text, each under its label."""
        return ", ".join(f"{leaf.text} AS {label}" for label, leaf in self.leaves())

    def elements(self) -> Sequence[Label[Any]]:
        """Return the columns for a `select()` of SQLAlchemy, each under its label."""
        return [
            (literal_column(leaf.sql) if isinstance(leaf.sql, str) else leaf.sql).label(label)
            for label, leaf in self.leaves()
        ]

    def reader(self) -> Callable[[Iterable[Any]], T]:
        """Compile the function that builds the object from a row: as fast as one written by hand."""
        scope: dict[str, Any] = {}
        names: list[str] = []
        built = self._expression(scope, names)
        source = f"def read(row):\n    {', '.join(names)}, = row\n    return {built}"
        exec(source, scope)  # noqa: S102 - made here, of the names of fields
        function: Callable[[Iterable[Any]], T] = scope["read"]
        return function

    def _expression(self, scope: dict[str, Any], names: list[str]) -> str:
        """Write the expression that builds the object, and add what it uses to `scope` and its columns to `names`."""
        arguments: list[str] = []
        absent = ""
        for name, part in self._parts.items():
            if isinstance(part, Leaf):
                variable, value = _read(part, scope, names)
                if name == self.absent_without:
                    absent = variable
            else:
                value = part._expression(scope, names)  # noqa: SLF001 - another one of its kind
            arguments.append(f"{name}={value}")
        made = f"t{len(scope)}"
        scope[made] = self.row_type
        built = f"{made}({', '.join(arguments)})"
        return f"(None if {absent} is None else {built})" if absent else built


@dataclass(frozen=True, slots=True)
class _Value:
    value: Any


class Value(Projection[T]):
    """A row of one column, read as the value itself."""

    def __init__(self, kind: type[T], sql: str | ColumnElement[Any]) -> None:
        self._only = _leaf(kind, sql)
        super().__init__(_Value, columns={"value": self._only})  # type: ignore[arg-type]
        self._parts = {"value": self._only}

    def _expression(self, scope: dict[str, Any], names: list[str]) -> str:
        return _read(self._only, scope, names)[1]


def _read(leaf: Leaf, scope: dict[str, Any], names: list[str]) -> tuple[str, str]:
    """Return the variable that a column is unpacked into, and the expression of its value."""
    variable = f"v{len(names)}"
    names.append(variable)
    if leaf.convert is None:
        return variable, variable
    scope["f" + variable] = leaf.convert
    return variable, f"f{variable}({variable})"


def _conversion(annotation: Any, *, optional: bool) -> Callable[[Any], Any] | None:
    """Return how the value of the driver becomes the field's, None where it already is."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, Enum):
        members: dict[Any, Any] = {member.value: member for member in origin}
        if optional:
            members[None] = None
        return members.__getitem__
    if origin in (frozenset, tuple):
        inner = get_args(annotation)[0]
        convert = _conversion(inner, optional=False)

        def collect(values: Any) -> Any:
            if values is None:
                return None
            return origin(values if convert is None else map(convert, values))

        return collect
    return None


NO_ROWS: Projection[None] = Value(type(None), "NULL")
"""For a statement whose rows, if it has any, are not read."""
