"""A connection that notes how much each statement reads: rows and pages, counted by PostgreSQL as it runs it."""

import importlib
import json
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from app import db
from app.db import job_lists, transitions
from app.db.connection import Connection, Row, Statement
from app.domain.states import JobEvent


def _named(module: ModuleType) -> Iterator[tuple[str, Statement]]:
    for name, value in vars(module).items():
        # What locks a table has no plan.
        if isinstance(value, Statement) and not value.sql.startswith("LOCK TABLE"):
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}[{key}]", one) for key, one in value.items() if isinstance(one, Statement))


def every_statement() -> dict[str, Statement]:
    """All statements of the service by the names they have in its modules."""
    modules = {one.name: importlib.import_module(f"app.db.{one.name}") for one in pkgutil.iter_modules(db.__path__)}
    found = {f"{name}.{own}": one for name, module in modules.items() for own, one in _named(module)}
    found |= {
        f"transitions.{event}": transitions._statement(event) for event in JobEvent if event is not JobEvent.CLAIM
    }
    found |= {f"job_lists.{walk}": job_lists.listing(walk) for walk in job_lists._WALKS}
    return found


NAMES = {id(statement): name for name, statement in every_statement().items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement read. Pages as far as a scan took them: those of what it wrote are not among them."""

    rows: float
    pages: float
    plan: Any

    def __str__(self) -> str:
        return f"{self.rows:.0f} rows, {self.pages:.0f} pages: {json.dumps(self.plan, indent=1)}"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _read(plan: dict[str, Any]) -> Reading:
    rows = pages = 0.0
    for node in _nodes(plan):
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

    async def prepare(self, statement: Statement) -> str:
        """Prepare a statement and make its plan, unless it has one."""
        if (name := self._prepared.get(id(statement))) is None:
            name = self._prepared[id(statement)] = f"s{len(self._prepared)}"
            await self.driver.execute(f"PREPARE {name} AS {statement.sql}")
            nothing = ", ".join(["NULL"] * len(statement.arguments(_Nothing())))
            await self.driver.execute(f"EXPLAIN EXECUTE {name}" + (f"({nothing})" if nothing else ""))
        return name

    async def forget(self) -> None:
        """Drop all plans, as the service does after some seconds."""
        for name in self._prepared.values():
            await self.driver.execute(f"DEALLOCATE {name}")
        self._prepared.clear()

    async def fetch(self, statement: Statement, parameters: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a statement; gives its rows."""
        await self._explain(statement, parameters or {})
        return await super().fetch(statement, parameters or {})

    async def execute(self, statement: Statement, parameters: Mapping[str, Any] | None = None) -> int:
        """Run a statement for what it does."""
        await self._explain(statement, parameters or {})
        return await super().execute(statement, parameters or {})

    async def _explain(self, statement: Statement, parameters: Mapping[str, Any]) -> None:
        name = await self.prepare(statement)
        values = ", ".join(_literal(value) for value in statement.arguments(parameters))
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


class _Nothing(dict[str, None]):
    def __missing__(self, _: str) -> None:
        return None


def _literal(value: Any) -> str:
    """Write a value for EXECUTE, which takes no parameters. Its type is the parameter's."""
    return "NULL" if value is None else "'" + _text(value).replace("'", "''") + "'"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "{" + ",".join("NULL" if one is None else _quoted(_text(one)) for one in value) + "}"
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
