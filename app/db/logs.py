"""Log lines of jobs: written by reports, read by number."""

from collections.abc import Collection, Sequence
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
from app.domain.job import JobRef


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
    window: int
    levels: frozenset[str] | None
    attempt: Int4 | None
    limit: int
    max_size: int


@dataclass(frozen=True, slots=True)
class _Found:
    """A line that is returned, with totals of the window. A window without such lines is one row whose line is null."""

    examined: int
    last_line: int
    found: int
    size_so_far: int
    line: LogRecord | None


@dataclass(frozen=True, slots=True)
class WindowOfLines:
    """Lines of a window that match, how many it examined, the last of those, how many of them match, and how many bytes
    the lines take that are here.
    """

    lines: list[LogRecord]
    examined: int
    last_line: int
    found: int
    size: int


_LOGS: Final = tables.job_logs.alias("l")
LINE: Final = Projection(LogRecord, _LOGS)
# The window is bounded before levels and attempt are compared, so that a sparse filter is never a long scan.
PAGE = Statement(
    f"""
    WITH w AS MATERIALIZED (
        SELECT {LINE.select_list}
        FROM jobs j JOIN job_logs l ON l.project_id = j.project_id AND l.job_id = j.id
        WHERE j.project_id = :project_id AND j.id = :job_id AND l.line >= :offset
        ORDER BY l.line LIMIT :window
    ), matching AS (
        SELECT w.*, 150 + {size_of_texts("w.message")} AS size FROM w
        WHERE (:levels IS NULL OR w.level = ANY (:levels)) AND (:attempt IS NULL OR w.attempt = :attempt)
        ORDER BY w.line LIMIT :limit
    )
    SELECT :returned FROM (SELECT count(*) AS examined, coalesce(max(w.line), -1) AS last_line FROM w) e
    LEFT JOIN {running_total("SELECT * FROM matching", "line")} m ON {FITS}
    ORDER BY m.line
    """,
    Values(_LinesFrom),
    Projection(
        _Found,
        "e",
        {
            "found": "coalesce(m.found, 0)",
            "size_so_far": "CAST(coalesce(m.size_so_far, 0) AS bigint)",
            "line": LINE.over("m", absent_without="line"),
        },
    ),
)


async def select_page(
    connection: Connection,
    ref: JobRef,
    *,
    offset: int,
    window: int,
    limit: int,
    max_size: int,
    levels: Collection[str] | None = None,
    attempt: int | None = None,
) -> WindowOfLines:
    """Examine up to `window` lines of a job's log from a line on; returns up to `limit` with one of the levels and of
    the attempt, no more than `max_size` bytes of them, but for the first.
    """
    page = _LinesFrom(
        project_id=ref.project_id,
        job_id=ref.job_id,
        offset=offset,
        window=window,
        levels=None if levels is None else frozenset(levels),
        attempt=attempt,
        limit=limit,
        max_size=max_size,
    )
    rows = await connection.fetch(PAGE, page)
    lines = [row.line for row in rows if row.line is not None]
    return WindowOfLines(lines, rows[0].examined, rows[0].last_line, rows[0].found, rows[-1].size_so_far)
