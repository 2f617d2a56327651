"""Statements: their text, what they take and what they return, declared once and compiled once.

The text of a statement is written by hand or is an SQLAlchemy Core expression; both run on the driver. It names its
parameters `:field`, a batch `:rows` and its result `:returned`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar, overload

from sqlalchemy.sql.selectable import ReturnsRows

from app.db.expressions import text_of
from app.db.parameters import NOTHING, Takes
from app.db.projection import NO_ROWS, Projection

Input = TypeVar("Input")
Output = TypeVar("Output")

_MARKER: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


def literals(values: Iterable[str]) -> str:
    """Write words as an SQL list. States are literals, never bound: a bound one keeps a plan from a partial index."""
    return ", ".join(f"'{value}'" for value in sorted(values))


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
        returned = {} if returns is NO_ROWS else {"returned": returns.select_list}
        self._declare(sql, takes.in_text() | returned, takes, returns)

    def _declare(self, sql: str, names: Mapping[str, str], takes: Takes[Any], returns: Projection[Any]) -> None:
        found = {marker[1] for marker in _MARKER.finditer(sql)}
        if found != names.keys():
            raise TypeError(f"the statement names {sorted(found)} where {sorted(names)} are declared: {sql}")
        self.takes = takes
        self.returns = returns
        self.sql = _MARKER.sub(lambda marker: names[marker[1]], sql)
        """As PostgreSQL reads it, with `$1` for the first parameter."""
        self.bind: Callable[[Input], Sequence[Any]] = takes.binder()
        self.read: Callable[[Iterable[Any]], Output] = returns.reader()


class CoreStatement(Statement[Input, Output]):
    """A statement that is an SQLAlchemy Core expression, with a `bindparam()` for each field of what it takes.

    Compiled once, so that running it costs what a text costs. Values go to the driver as they are: SQLAlchemy's own
    conversions of parameters do not run.
    """

    __slots__ = ()

    def __init__(self, expression: ReturnsRows, takes: Takes[Input], returns: Projection[Output]) -> None:
        """TypeError if the expression and the declarations do not name the same parameters and columns."""
        columns = [] if returns is NO_ROWS else [label for label, _ in returns.leaves()]
        if (found := expression.exported_columns.keys()) != columns:
            raise TypeError(f"the expression returns {found} where {columns} are declared: {expression}")
        self._declare(text_of(expression), takes.in_expression(), takes, returns)
