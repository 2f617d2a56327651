"""How statements reach the database: SQL with named parameters, given straight to the driver.

SQLAlchemy keeps the pool and describes the tables. Its execution of a statement does more for us than we need: 0.2 to
0.4 ms of processor time for each, where the driver alone takes 0.04 to 0.2 (measured, one row to forty columns), and
a worker's call is eight of them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

_NAMED: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_NOTHING: Final[Mapping[str, Any]] = {}


class Statement:
    """SQL whose parameters are written `:name`; a name may stand in it several times."""

    __slots__ = ("_names", "sql")

    def __init__(self, sql: str) -> None:
        names: dict[str, int] = {}
        self.sql = _NAMED.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", sql)
        """As PostgreSQL reads it, with `$1` for the first name."""
        self._names = tuple(names)

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """Put named values into the order of the statement. One that it does not name is left out."""
        return [parameters[name] for name in self._names]


class Row(asyncpg.Record):
    """A row whose columns are attributes too. Where many are read from many rows, unpacking it is ten times faster."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Give a column."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Connection:
    """One connection of the pool, lent for a unit of work."""

    __slots__ = ("_driver", "_on_statement", "committed", "core")

    def __init__(self, core: AsyncConnection, on_statement: Callable[[Statement], None]) -> None:
        self.core = core
        """The same connection as SQLAlchemy sees it."""
        self._on_statement = on_statement
        self.committed: list[Callable[[], None]] = []
        """What is called when the transaction has committed."""
        held = core.sync_connection
        if held is None:
            raise LookupError("the connection was given back")
        self._driver = cast("asyncpg.Connection[Row]", held.connection.driver_connection)

    @property
    def driver(self) -> "asyncpg.Connection[Row]":
        """The driver's own connection: its transactions, and whether it is still open."""
        return self._driver

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something once the transaction of this unit of work has committed, and not at all if it does not.

        The unit goes on when its caller leaves, and so does this.
        """
        self.committed.append(callback)

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> list[Row]:
        """Run a statement; gives its rows."""
        self._on_statement(statement)
        return await self._driver.fetch(statement.sql, *statement.arguments(parameters))

    async def fetchrow(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> Row | None:
        """Run a statement that gives one row or none. More than one is a mistake of the statement: LookupError."""
        rows = await self.fetch(statement, parameters)
        if len(rows) > 1:
            raise LookupError(f"{len(rows)} rows where one was expected")
        return rows[0] if rows else None

    async def fetchone(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> Row:
        """Run a statement that always gives one row; LookupError if it did not."""
        row = await self.fetchrow(statement, parameters)
        if row is None:
            raise LookupError("no row where one was expected")
        return row

    async def fetchval(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> Any:
        """Run a statement; gives the first column of its one row, or None if there is none."""
        row = await self.fetchrow(statement, parameters)
        return None if row is None else row[0]

    async def execute(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> int:
        """Run a statement for what it does; gives how many rows it changed."""
        self._on_statement(statement)
        status = await self._driver.execute(statement.sql, *statement.arguments(parameters))
        changed = status.rpartition(" ")[2]
        return int(changed) if changed.isdigit() else 0
