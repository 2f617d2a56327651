"""Rows in which every column has a value of its own, and objects made of them by the names of the columns."""

import itertools
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, JSON, Column, Identity, Table

from app.db.connection import Connection

T = TypeVar("T")
_NUMBERS = itertools.count(1000)
FIRST_MOMENT = datetime(2031, 1, 1, tzinfo=UTC)
PAST = datetime(2021, 1, 1, tzinfo=UTC)


def value_for(column: Column[Any]) -> Any:
    """A value that no other column has."""
    number = next(_NUMBERS)
    if isinstance(column.type, JSON):
        return {column.name: number}
    if isinstance(column.type, ARRAY):
        return [f"{column.name} {number}", "more"]
    made: dict[type, Any] = {
        str: f"{column.name} {number}",
        int: number,
        float: number + 0.5,
        bool: True,
        bytes: f"{column.name} {number}".encode(),
        datetime: FIRST_MOMENT + timedelta(minutes=number),
        UUID: UUID(int=number),
    }
    return made[column.type.python_type]


def row(table: Table, **given: Any) -> dict[str, Any]:
    """A row of a table, with some columns as given; what the database draws is left to it."""
    drawn = {column.name for column in table.c if isinstance(column.server_default, Identity) or column.name == "xid"}
    return {column.name: value_for(column) for column in table.c if column.name not in drawn | given.keys()} | given


async def insert(connection: Connection, table: Table, **given: Any) -> dict[str, Any]:
    """Insert such a row by the names of its columns; returns it."""
    values = row(table, **given)
    await connection.core.execute(table.insert().values(values))
    return values


async def stored(connection: Connection, table: Table, **where: Any) -> dict[str, Any]:
    """The one row with these values."""
    found = await connection.core.execute(table.select().where(*(table.c[name] == where[name] for name in where)))
    return dict(found.mappings().one())


def made_of(kind: type[T], values: dict[str, Any], **others: Any) -> T:
    """An object whose fields are columns of their own name, and others as given."""
    names = [field.name for field in fields(kind) if field.name not in others]  # type: ignore[arg-type]
    return kind(**{name: values[name] for name in names}, **others)


def differences(row: dict[str, Any], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The columns that are not as expected; those that are not expected at all must be null."""
    return {name: (row[name], expected.get(name)) for name in row if row[name] != expected.get(name)}
