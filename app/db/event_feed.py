"""Reading the history: of one job, and of a project as a feed that has neither gap nor repeat.

Transactions commit out of the order in which they began. The feed therefore gives only rows of transactions that are
older than every one still running: nothing can appear behind a reader any more. A transaction that runs for long holds
the feed back, of every project; ours are short.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.lookups import lookup
from app.domain.history import JobEventRecord, LogRecord, Position
from app.domain.states import JobState

_COLUMNS = """e.project_id, e.job_id, e.id, CAST(CAST(e.xid AS text) AS bigint) AS xid, e.type, e.at, e.attempt,
    e.worker, e.from_state, e.to_state, e.data, j.queue"""
_SETTLED = "e.xid < pg_snapshot_xmin(pg_current_snapshot())"

OF_JOB = Statement(f"""
    SELECT {_COLUMNS} FROM jobs j JOIN events e ON e.project_id = j.project_id AND e.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :job_id AND e.id > :after
    ORDER BY e.id LIMIT :limit
""")


def _event(row: Row) -> JobEventRecord:
    return JobEventRecord(
        position=Position(row.xid, row.id),
        project_id=row.project_id,
        job_id=row.job_id,
        type=row.type,
        at=row.at,
        attempt=row.attempt,
        worker=row.worker,
        source=None if row.from_state is None else JobState(row.from_state),
        target=JobState(row.to_state),
        data=row.data,
        queue=row.queue,
    )


async def select_of_job(
    connection: Connection, project_id: UUID, job_id: UUID, *, after: int, limit: int
) -> list[JobEventRecord]:
    """Read a job's events behind an id. They were written under the job's lock, so that ids are their order."""
    rows = await connection.fetch(OF_JOB, {"project_id": project_id, "job_id": job_id, "after": after, "limit": limit})
    return [_event(row) for row in rows]


# A deleted job's events are on their way out: they count for how far the page reached and are not shown.
FEED = Statement(f"""
    SELECT {_COLUMNS}, j.id IS NOT NULL AS present
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:xids AS text[]), CAST(:ids AS bigint[])) AS i (project_id, xid, id)
    CROSS JOIN LATERAL (
        SELECT * FROM events e
        WHERE e.project_id = i.project_id AND (e.xid, e.id) > (CAST(i.xid AS xid8), i.id) AND {_SETTLED}
        ORDER BY e.xid, e.id LIMIT :limit
    ) e
    LEFT JOIN {lookup("jobs", "j", project_id="e.project_id", id="e.job_id")} ON true
    ORDER BY e.project_id, e.xid, e.id
""")


@dataclass(slots=True)
class Extent:
    """How far a page reached in one project, and how many rows that were."""

    position: Position
    rows: int = 0


async def select_feed(
    connection: Connection, after: Mapping[UUID, Position], limit: int
) -> tuple[list[JobEventRecord], dict[UUID, Extent]]:
    """Read up to `limit` events of each project behind its position, and how far that was."""
    rows = await connection.fetch(
        FEED,
        {
            "project_ids": list(after),
            "xids": [str(position.xid) for position in after.values()],
            "ids": [position.id for position in after.values()],
            "limit": limit,
        },
    )
    events: list[JobEventRecord] = []
    extents: dict[UUID, Extent] = {}
    for row in rows:
        extent = extents.setdefault(row.project_id, Extent(Position(row.xid, row.id)))
        extent.position, extent.rows = Position(row.xid, row.id), extent.rows + 1
        if row.present:
            events.append(_event(row))
    return events, extents


HEAD = Statement("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS xid")


async def select_head(connection: Connection) -> Position:
    """Give the position behind everything that is settled now."""
    return Position(int(await connection.fetchval(HEAD)) - 1, 2**63 - 1)


LOGS = Statement("""
    SELECT l.line, l.at, l.attempt, l.level, l.message
    FROM jobs j JOIN job_logs l ON l.project_id = j.project_id AND l.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :job_id AND l.line >= :offset
    ORDER BY l.line LIMIT :limit
""")


async def select_logs(
    connection: Connection, project_id: UUID, job_id: UUID, *, offset: int, limit: int
) -> list[LogRecord]:
    """Read a job's log from a line on."""
    rows = await connection.fetch(LOGS, {"project_id": project_id, "job_id": job_id, "offset": offset, "limit": limit})
    return [LogRecord(row.line, row.at, row.attempt, row.level, row.message) for row in rows]


LAST_OF_JOB = Statement("""
    SELECT coalesce((SELECT e.id FROM events e WHERE e.project_id = :project_id AND e.job_id = :job_id
                     ORDER BY e.id DESC LIMIT 1), 0) AS id
""")


async def select_last_of_job(connection: Connection, project_id: UUID, job_id: UUID) -> int:
    """Give the id of a job's latest event."""
    return int(await connection.fetchval(LAST_OF_JOB, {"project_id": project_id, "job_id": job_id}))
