"""Parts of the tables: columns by type, the columns that tables have in common, partial indexes."""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Index, MetaData, Uuid, text
from sqlalchemy.types import TypeEngine, UserDefinedType

Kind: TypeAlias = TypeEngine[Any] | type[TypeEngine[Any]]

TIME: Final = DateTime(timezone=True)

metadata: Final = MetaData()
"""The schema's tables, each where it is declared."""


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id: the order in which transactions began, for cursors in commit order."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Name the type as DDL does."""
        return "xid8"

    @property
    def python_type(self) -> type[int]:
        """Name the type of its values."""
        return int


def not_null(kind: Kind, *names: str) -> Iterator[Column[Any]]:
    """Declare columns of one type that always have a value."""
    return (Column(name, kind, nullable=False) for name in names)


def nullable(kind: Kind, *names: str) -> Iterator[Column[Any]]:
    """Declare columns of one type that may be null."""
    return (Column(name, kind) for name in names)


def flag(name: str) -> Column[bool]:
    """Declare a column that is false until it is set."""
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def key(name: str, kind: Kind) -> Column[Any]:
    """Declare a column of the primary key. Its values are never drawn from a sequence of its own."""
    return Column(name, kind, primary_key=True, autoincrement=False)


def tenant() -> Column[UUID]:
    """Declare the tenant of a table whose rows are few."""
    return Column("project_id", Uuid, ForeignKey("projects.id"), primary_key=True)


def plain_tenant() -> Column[UUID]:
    """Declare the tenant of a hot table: no foreign key, since each insert would lock the project."""
    return Column("project_id", Uuid, primary_key=True)


def of_job() -> tuple[Column[UUID], Column[UUID]]:
    """Declare the key of what belongs to a job."""
    return plain_tenant(), Column("job_id", Uuid, primary_key=True)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Declare an index of the rows that fit a condition. A column may have a DESC, or be an expression in brackets."""
    keys = (text(column) if column.endswith((" DESC", ")")) else column for column in columns)
    return Index(name, *keys, unique=unique, postgresql_where=text(where))
