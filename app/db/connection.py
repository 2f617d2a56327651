"""A connection for one unit of work. Statements go to the driver as they are.

SQLAlchemy keeps the pool, holds the schema and writes the statements that are not hot; it does not run them. It would
take four times the processor time for a row (78 µs for 20, docs/decisions/0003).
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.statement import Statement

Input = TypeVar("Input")
Output = TypeVar("Output")


class Connection:
    """One connection of the pool, lent for a unit of work."""

    __slots__ = ("_driver", "_on_statement", "committed", "core", "opened_at", "sent", "sent_at")

    def __init__(self, core: AsyncConnection, on_statement: Callable[[Statement[Any, Any]], None]) -> None:
        self.core = core
        """The same connection as SQLAlchemy sees it."""
        self._on_statement = on_statement
        self.committed: list[Callable[[], None]] = []
        """Callbacks for when the transaction has committed."""
        self.sent = False
        """Whether a statement was handed to the driver."""
        held = core.sync_connection
        if held is None:
            raise LookupError("the connection was given back")
        self._driver = cast("asyncpg.Connection[asyncpg.Record]", held.connection.driver_connection)
        self.opened_at: float = held.info.setdefault("opened_at", asyncio.get_running_loop().time())
        """When it was first lent, which is when it was opened, by the event loop's clock."""
        self.sent_at = asyncio.get_running_loop().time()
        """When the last statement was sent, or when it was lent for this unit of work."""

    @property
    def driver(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The driver's own connection: its transactions, and whether it is still open."""
        return self._driver

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call something once the transaction of this unit of work has committed, and not at all if it does not.

        The unit of work continues if its caller is cancelled, and so does this.
        """
        self.committed.append(callback)

    def _note_sent(self) -> None:
        self.sent = True
        self.sent_at = asyncio.get_running_loop().time()

    async def fetch(self, statement: Statement[Input, Output], parameters: Input) -> list[Output]:
        """Run a statement; returns its rows."""
        self._on_statement(statement)
        read, arguments = statement.read, statement.bind(parameters)
        self._note_sent()
        rows = await self._driver.fetch(statement.sql, *arguments)
        return [read(row) for row in rows]

    async def fetchrow(self, statement: Statement[Input, Output], parameters: Input) -> Output | None:
        """Run a statement that returns one row or none. LookupError if there are more."""
        rows = await self.fetch(statement, parameters)
        if len(rows) > 1:
            raise LookupError(f"{len(rows)} rows where one was expected")
        return rows[0] if rows else None

    async def fetchone(self, statement: Statement[Input, Output], parameters: Input) -> Output:
        """Run a statement that always returns one row; LookupError if it did not."""
        row = await self.fetchrow(statement, parameters)
        if row is None:
            raise LookupError("no row where one was expected")
        return row

    async def execute(self, statement: Statement[Input, Any], parameters: Input) -> int:
        """Run a statement for what it does; returns how many rows it changed."""
        self._on_statement(statement)
        arguments = statement.bind(parameters)
        self._note_sent()
        status = await self._driver.execute(statement.sql, *arguments)
        changed = status.rpartition(" ")[2]
        return int(changed) if changed.isdigit() else 0
