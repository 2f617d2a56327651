"""Statements that only tests send: values by name, rows whose columns are attributes."""

import re
from types import SimpleNamespace
from typing import Any

from app.db.connection import Connection


def numbered(sql: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
    """Write `:name` as the driver's `$1`, and put the values into that order."""
    names: dict[str, int] = {}
    text = re.sub(r"(?<![:\w]):([a-z_]+)", lambda found: f"${names.setdefault(found[1], len(names) + 1)}", sql)
    return text, [values[name] for name in names]


async def fetch(connection: Connection, sql: str, **values: Any) -> list[SimpleNamespace]:
    text, arguments = numbered(sql, values)
    return [SimpleNamespace(**dict(row)) for row in await connection.driver.fetch(text, *arguments)]


async def fetch_value(connection: Connection, sql: str, **values: Any) -> Any:
    text, arguments = numbered(sql, values)
    return await connection.driver.fetchval(text, *arguments)


async def execute(connection: Connection, sql: str, **values: Any) -> None:
    text, arguments = numbered(sql, values)
    await connection.driver.execute(text, *arguments)


async def fetch_one(connection: Connection, sql: str, **values: Any) -> tuple[Any, ...]:
    text, arguments = numbered(sql, values)
    row = await connection.driver.fetchrow(text, *arguments)
    assert row is not None
    return tuple(row)
