"""Queues and their rules. How deep they are is in `depths`, what a concurrency limit leaves free in `limits`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import FromClause, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.connection import Connection
from app.db.expressions import holds_text
from app.db.parameters import Int4, Values
from app.db.pauses import in_force
from app.db.projection import Projection
from app.db.statement import CoreStatement
from app.domain.job import Retry
from app.domain.queue import Pause, Queue, QueueRules

_Q: Final = tables.queues.alias("q")
_NOW: Final = func.statement_timestamp()


def _queue(source: FromClause, name: str) -> Projection[Queue]:
    paused = in_force(name)
    pause = {field: f"CASE WHEN {paused} THEN {name}.paused_{field} END" for field in ("at", "by", "reason", "until")}
    rules = Projection(
        QueueRules, source, {"paused": paused, "pause": Projection(Pause, columns=pause, absent_without="at")}
    )
    return Projection(Queue, source, {"rules": rules})


QUEUE: Final = _queue(_Q, "q")


@dataclass(frozen=True, slots=True)
class _NamesAfter:
    project_id: UUID
    after: str
    part: str
    limit: int


@dataclass(frozen=True, slots=True)
class _Name:
    project_id: UUID
    name: str


SELECT_PAGE = CoreStatement(
    select(*QUEUE.elements())
    .where(_Q.c.project_id == bindparam("project_id"), _Q.c.name > bindparam("after"))
    .where(holds_text(_Q.c.name, "part"))
    .order_by(_Q.c.name)
    .limit(bindparam("limit")),
    Values(_NamesAfter),
    QUEUE,
)
_ONE = select(*QUEUE.elements()).where(_Q.c.project_id == bindparam("project_id"), _Q.c.name == bindparam("name"))
SELECT_ONE = CoreStatement(_ONE, Values(_Name), QUEUE)
LOCK_ONE = CoreStatement(_ONE.with_for_update(key_share=True), Values(_Name), QUEUE)


async def select_page(
    connection: Connection, project_id: UUID, *, after: str, limit: int, part: str = ""
) -> list[Queue]:
    """Read queues behind a name whose names hold `part`, in the order of their names."""
    return await connection.fetch(SELECT_PAGE, _NamesAfter(project_id, after, part, limit))


async def select_one(connection: Connection, project_id: UUID, name: str) -> Queue | None:
    """Read one queue."""
    return await connection.fetchrow(SELECT_ONE, _Name(project_id, name))


async def lock_one(connection: Connection, project_id: UUID, name: str) -> Queue | None:
    """Read one queue as it stays until this transaction changes it."""
    return await connection.fetchrow(LOCK_ONE, _Name(project_id, name))


@dataclass(frozen=True, slots=True)
class _QueueRow:
    project_id: UUID
    name: str
    paused: bool
    concurrency_limit: Int4 | None
    retry: Retry | None
    retention_seconds: int | None
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    retention_failed_seconds: int | None
    expected_seconds: Int4 | None


_ROW: Final = Values(_QueueRow)
_KEY: Final = ("project_id", "name")
_STORED: Final = _queue(tables.queues, "queues")
_PAUSED_AT: Final = case((bindparam("paused"), func.coalesce(bindparam("paused_at"), _NOW)))
_PUT: Final = insert(tables.queues).values(
    {p.name: bindparam(p.name) for p in _ROW.parameters}
    | {"paused_at": _PAUSED_AT, "created_at": _NOW, "updated_at": _NOW}
)
PUT = CoreStatement(
    _PUT.on_conflict_do_update(
        index_elements=_KEY,
        set_={p.name: _PUT.excluded[p.name] for p in _ROW.parameters if p.name not in _KEY}
        | {"updated_at": _PUT.excluded.updated_at},
    ).returning(*_STORED.elements()),
    _ROW,
    _STORED,
)


async def put(connection: Connection, project_id: UUID, name: str, rules: QueueRules) -> Queue:
    """Set a queue's rules; creates the queue if it is new. A pause without a time begins now."""
    pause = (rules.pause if rules.paused else None) or Pause()
    row = _QueueRow(
        project_id=project_id,
        name=name,
        paused=rules.paused,
        concurrency_limit=rules.concurrency_limit,
        retry=rules.retry,
        retention_seconds=rules.retention_seconds,
        paused_at=pause.at,
        paused_by=pause.by,
        paused_reason=pause.reason,
        paused_until=pause.until,
        retention_failed_seconds=rules.retention_failed_seconds,
        expected_seconds=rules.expected_seconds,
    )
    return await connection.fetchone(PUT, row)
