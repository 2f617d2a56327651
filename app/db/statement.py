"""Statements: their text, what they take and what they return, declared once and compiled once.

The text of a statement is written by hand or is an SQLAlchemy Core expression; both run on the driver. It names its
parameters `:field`, a batch `:rows` and its result `:returned`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar, overload

from sqlalchemy import ColumnElement, literal_column
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.sql.expression import Executable

from app.db.parameters import NOTHING, Takes
from app.db.projection import NO_ROWS, Projection

Input = TypeVar("Input")
Output = TypeVar("Output")

_MARKER: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_RETURNED: Final = "returned"


def literals(values: Iterable[str]) -> str:
    """Write words as an SQL list. States are literals, never bound: a bound one keeps a plan from a partial index."""
    return ", ".join(f"'{value}'" for value in sorted(values))


def is_one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these words, as literals (see `literals`)."""
    return column.in_([literal_column(f"'{value}'") for value in sorted(values)])


class Statement(Generic[Input, Output]):
    """SQL with the type of its parameters and of its rows."""

    __slots__ = ("bind", "read", "returns", "sql", "takes")

    @overload
    def __init__(self: "Statement[None, None]", sql: str) -> None: ...
    @overload
    def __init__(self: "Statement[Input, None]", sql: str, takes: Takes[Input]) -> None: ...
    @overload
    def __init__(self: "Statement[None, Output]", sql: str, *, returns: Projection[Output]) -> None: ...
    @overload
    def __init__(self, sql: str, takes: Takes[Input], returns: Projection[Output]) -> None: ...
    def __init__(self, sql: str, takes: Any = NOTHING, returns: Any = NO_ROWS) -> None:
        """TypeError if the text and the declarations do not name the same parameters."""
        named = {found[1] for found in _MARKER.finditer(sql)}
        expected = set(takes.names) | ({_RETURNED} if returns is not NO_ROWS else set())
        if named != expected:
            raise TypeError(f"the statement names {sorted(named)} where {sorted(expected)} are declared: {sql}")
        self.takes: Takes[Any] = takes
        self.returns: Projection[Any] = returns
        self.sql = _MARKER.sub(lambda found: self._expand(found[1]), sql)
        """As PostgreSQL reads it, with `$1` for the first parameter."""
        self.bind: Callable[[Input], Sequence[Any]] = takes.binder()
        self.read: Callable[[Iterable[Any]], Output] = returns.reader()

    def _expand(self, name: str) -> str:
        return self.returns.select_list if name == _RETURNED else self.takes.expand(name)


class CoreStatement(Statement[Input, Output]):
    """A statement that is an SQLAlchemy Core expression, whose bound names are fields of what it takes.

    Compiled once, so that running it costs what a text costs. Values go to the driver as they are: SQLAlchemy's own
    conversions of parameters do not run.
    """

    __slots__ = ()

    def __init__(self, expression: Executable, takes: Takes[Input], returns: Projection[Output]) -> None:
        compiled = expression.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
        names: list[str] = list(compiled.positiontup or ())
        declared = {p.name for p in takes.parameters}
        if not set(names) <= declared:
            raise TypeError(f"the expression binds {sorted(set(names) - declared)}, which is not declared")
        self.takes = takes
        self.returns = returns
        self.sql = str(compiled)
        self.bind = takes.binder(names)
        self.read = returns.reader()


_DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]
