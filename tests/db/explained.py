"""A connection that notes how much each statement reads: rows and pages, counted by PostgreSQL as it runs it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.db.connection import Connection, Input, Output
from app.db.statement import Statement
from tests.db.statements import STATEMENTS

# What locks a table has no plan.
PLANNED = {
    name.removeprefix("db."): statement
    for name, statement in STATEMENTS.items()
    if not statement.sql.startswith("LOCK TABLE")
}
"""All statements of the service by the names they have in its modules."""
NAMES = {id(statement): name for name, statement in PLANNED.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement read. Pages as far as a scan took them: those of what it wrote are not among them."""

    rows: float
    pages: float
    plan: Any

    def __str__(self) -> str:
        return f"{self.rows:.0f} rows, {self.pages:.0f} pages: {json.dumps(self.plan, indent=1)}"


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def _read(plan: dict[str, Any]) -> Reading:
    rows = pages = 0.0
    for node in nodes(plan):
        loops = node["Actual Loops"]
        if "Scan" in node["Node Type"]:
            rows += node["Actual Rows"] * loops
        # Of a join as well: a row that was compared in vain was read.
        removed = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
        rows += sum(node.get(kind, 0) for kind in removed) * loops
        if "Relation Name" in node and "Scan" in node["Node Type"]:
            pages += node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return Reading(rows, pages, plan)


class Explained(Connection):
    """Runs every statement twice: explained, which is undone, and again for its rows."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.core, lambda _: None)
        self.read: dict[str, Reading] = {}
        """Of each statement the most that it read."""
        self._prepared: dict[int, str] = {}

    async def prepare(self, statement: Statement[Any, Any]) -> str:
        """Prepare a statement and make its plan, unless it has one."""
        if (name := self._prepared.get(id(statement))) is None:
            name = self._prepared[id(statement)] = f"s{len(self._prepared)}"
            await self.driver.execute(f"PREPARE {name} AS {statement.sql}")
            nothing = ", ".join(["NULL"] * len(statement.takes.parameters))
            await self.driver.execute(f"EXPLAIN EXECUTE {name}" + (f"({nothing})" if nothing else ""))
        return name

    async def forget(self) -> None:
        """Drop all plans, as the service does after some seconds."""
        for name in self._prepared.values():
            await self.driver.execute(f"DEALLOCATE {name}")
        self._prepared.clear()

    async def fetch(self, statement: Statement[Input, Output], parameters: Input) -> list[Output]:
        """Run a statement; returns its rows."""
        await self._explain(statement, parameters)
        return await super().fetch(statement, parameters)

    async def execute(self, statement: Statement[Input, Any], parameters: Input) -> int:
        """Run a statement for what it does; returns how many rows it changed."""
        await self._explain(statement, parameters)
        return await super().execute(statement, parameters)

    async def _explain(self, statement: Statement[Input, Any], parameters: Input) -> None:
        name = await self.prepare(statement)
        values = ", ".join(_literal(value) for value in statement.bind(parameters))
        undone = self.driver.transaction()
        await undone.start()
        found = await self.driver.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE {name}" + (f"({values})" if values else "")
        )
        await undone.rollback()
        reading = _read(found[0]["Plan"])
        known = NAMES[id(statement)]
        if known not in self.read or self.read[known].rows < reading.rows:
            self.read[known] = reading


def _literal(value: Any) -> str:
    """Write a value for EXECUTE, which takes no parameters. Its type is the parameter's."""
    return "NULL" if value is None else "'" + _text(value).replace("'", "''") + "'"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple, frozenset)):
        return "{" + ",".join("NULL" if one is None else _quoted(_text(one)) for one in value) + "}"
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
