"""SQLAlchemy Core expressions, written as the text of a statement: parameters as `:name`, all else as it is."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    FromClause,
    TableValuedAlias,
    Text,
    and_,
    any_,
    bindparam,
    func,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect


class _Compiler(PGCompiler):
    def visit_bindparam(self, bindparam: BindParameter[Any], **kw: Any) -> str:  # type: ignore[override]
        """Write a parameter by its name, and a value that stands in the expression as a literal.

        A state that is bound keeps a generic plan from a partial index, so none is.
        """
        if bindparam.required:
            return f":{bindparam.key}"
        written: str = super().visit_bindparam(bindparam, **(kw | {"literal_binds": True}))  # type: ignore[no-untyped-call]
        return written


class _Dialect(PGDialect):
    statement_compiler = _Compiler
    supports_statement_cache = True


_DIALECT: Final = _Dialect(paramstyle="named")  # type: ignore[no-untyped-call]


def text_of(expression: ClauseElement) -> str:
    """Write an expression as text, once: compiling costs a thousand times what running the text does."""
    return str(expression.compile(dialect=_DIALECT))


def is_one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a column has one of these words, sorted so that every process sends the same text."""
    return column.in_(sorted(values))


def holds_text(column: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
    """Return the condition that a column holds a text somewhere, in upper or lower case. The empty text is in all."""
    return func.strpos(func.lower(column), func.lower(bindparam(parameter))) > 0


def at_key(table: FromClause, **key: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition of `lookups.target_by_key`: rows to be changed, which are joined with their keys."""
    (first, value), *rest = key.items()
    return and_(table.c[first] == any_(array([value])), *(table.c[name] == value for name, value in rest))


def state_among(state: ColumnElement[Any], states: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition of `lookups.state_among`: the state of a job found by its key, hidden from the planner."""
    return is_one_of(func.nullif(state, "", type_=Text), states)


def unnested(alias: str, **arrays: str) -> TableValuedAlias:
    """Return the rows that some parameters hold as arrays, one a column: `unnested("s", state="states")`."""
    rows = func.unnest(*(bindparam(name) for name in arrays.values())).table_valued(*arrays)
    return rows.render_derived(name=alias)
