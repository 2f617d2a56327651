"""Log lines of jobs: written by reports, read by number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import Batch, Int4, Values
from app.db.projection import Projection
from app.db.sizes import FITS, running_total, size_of_texts
from app.db.statement import Statement
from app.domain.event import LogRecord


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
    max_size: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A line that is returned, how many there were, and the bytes of all so far."""

    found: int
    size_so_far: int
    line: LogRecord


_LOGS: Final = tables.job_logs.alias("l")
LINE: Final = Projection(LogRecord, _LOGS)
_LINES: Final = f"""
    SELECT {LINE.select_list}, 150 + {size_of_texts("l.message")} AS size
    FROM jobs j JOIN job_logs l ON l.project_id = j.project_id AND l.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :job_id AND l.line >= :offset
    ORDER BY l.line LIMIT :limit
"""
PAGE = Statement(
    f"SELECT :returned FROM {running_total(_LINES, 'line')} m WHERE {FITS} ORDER BY m.line",
    Values(_LinesFrom),
    Projection(_Found, "m", {"size_so_far": "CAST(m.size_so_far AS bigint)", "line": LINE.over("m")}),
)


async def select_page(
    connection: Connection, project_id: UUID, job_id: UUID, *, offset: int, limit: int, max_size: int
) -> tuple[list[LogRecord], int, int]:
    """Read up to `limit` lines of a job's log from a line on, no more than `max_size` bytes of them but for the first;
    returns them, how many there were, and the bytes of those that are here.
    """
    page = _LinesFrom(project_id=project_id, job_id=job_id, offset=offset, limit=limit, max_size=max_size)
    rows = await connection.fetch(PAGE, page)
    return [row.line for row in rows], *((rows[-1].found, rows[-1].size_so_far) if rows else (0, 0))
