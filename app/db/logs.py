"""Log lines of jobs: written by reports, read by number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import and_, bindparam, select

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import Batch, Int4, Values
from app.db.projection import Projection
from app.db.statement import CoreStatement, Statement
from app.domain.event import LogRecord

_JOBS: Final = tables.jobs.alias("j")


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """A log line with its number in its job, drawn from the run under its job's lock."""

    project_id: UUID
    job_id: UUID
    line: int
    attempt: Int4
    level: str
    message: str


INSERT = Statement(
    """
    INSERT INTO job_logs (project_id, job_id, line, at, attempt, level, message)
    SELECT i.project_id, i.job_id, i.line, statement_timestamp(), i.attempt, i.level, i.message
    FROM :rows
    """,
    Batch(NumberedLine),
)


async def insert(connection: Connection, lines: Sequence[NumberedLine]) -> None:
    """Append log lines."""
    await connection.execute(INSERT, lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LinesFrom:
    project_id: UUID
    job_id: UUID
    offset: int
    limit: int


_LOGS: Final = tables.job_logs.alias("l")
LINE: Final = Projection(LogRecord, _LOGS)
PAGE = CoreStatement(
    select(*LINE.elements())
    .join_from(_JOBS, _LOGS, and_(_LOGS.c.project_id == _JOBS.c.project_id, _LOGS.c.job_id == _JOBS.c.id))
    .where(_JOBS.c.project_id == bindparam("project_id"), _JOBS.c.id == bindparam("job_id"))
    .where(_LOGS.c.line >= bindparam("offset"))
    .order_by(_LOGS.c.line)
    .limit(bindparam("limit")),
    Values(_LinesFrom),
    LINE,
)


async def select_page(
    connection: Connection, project_id: UUID, job_id: UUID, *, offset: int, limit: int
) -> list[LogRecord]:
    """Read a job's log from a line on."""
    page = _LinesFrom(project_id=project_id, job_id=job_id, offset=offset, limit=limit)
    return await connection.fetch(PAGE, page)
