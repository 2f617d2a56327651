"""The events of jobs: read of one job, or as a project's feed. They are written by the statements that cause them.

The feed has neither gap nor repeat. Transactions commit out of the order in which they began, so it returns only rows
of transactions that are older than every one still running: nothing can appear behind a reader any more. A transaction
that runs for long holds the feed back, of every project; ours are short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import and_, bindparam, literal_column, select

from app.db import tables
from app.db.connection import Connection
from app.db.epochs import BEGINS_AFTER, EPOCH
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.sizes import FITS, running_total, size_of_json, size_of_texts
from app.db.statement import CoreStatement, Statement
from app.domain.event import JobEventRecord, Position
from app.domain.job import JobRef

_EVENTS: Final = tables.events.alias("e")
_JOBS: Final = tables.jobs.alias("j")
# The driver knows no xid8.
_POSITION: Final = Projection(Position, _EVENTS, {"xid": "CAST(CAST(e.xid AS text) AS bigint)", "epoch": EPOCH})
EVENT: Final = Projection(
    JobEventRecord,
    _EVENTS,
    {
        "position": _POSITION,
        "source": _EVENTS.c.from_state,
        "target": _EVENTS.c.to_state,
        "queue": _JOBS.c.queue,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventsAfter:
    project_id: UUID
    job_id: UUID
    after: int
    limit: int
    max_size: int


@dataclass(frozen=True, slots=True)
class _Found:
    found: int
    event: JobEventRecord


_OF_JOB_AFTER: Final = f"""
    SELECT {EVENT.select_list}, 400 + {size_of_texts("e.worker")} + {size_of_json("e.data")} AS size
    FROM jobs j JOIN events e ON e.project_id = j.project_id AND e.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :job_id AND e.id > :after
    ORDER BY e.id LIMIT :limit
"""
OF_JOB = Statement(
    f"SELECT :returned FROM {running_total(_OF_JOB_AFTER, 'position_id')} m WHERE {FITS} ORDER BY m.position_id",
    Values(_EventsAfter),
    Projection(_Found, "m", {"event": EVENT.over("m")}),
)


async def select_of_job(
    connection: Connection, project_id: UUID, job_id: UUID, *, after: int, limit: int, max_size: int
) -> tuple[list[JobEventRecord], bool]:
    """Read up to `limit` of a job's events behind an id, no more than `max_size` bytes of them but for the first, and
    whether there are more. They were written under the job's lock, so that ids are their order.
    """
    page = _EventsAfter(project_id=project_id, job_id=job_id, after=after, limit=limit + 1, max_size=max_size)
    rows = await connection.fetch(OF_JOB, page)
    events = [row.event for row in rows[:limit]]
    return events, bool(rows) and len(events) < rows[0].found


@dataclass(frozen=True, slots=True)
class _After:
    project_id: UUID
    xid: str
    """As text: the driver knows no xid8."""
    id: int


@dataclass(frozen=True, slots=True)
class _FeedPage:
    after: Sequence[_After]
    limit: int


@dataclass(frozen=True, slots=True)
class _Passed:
    """An event that a page passes; `present` if its job is there."""

    present: bool
    event: JobEventRecord


# A deleted job's events are on their way out: they count for how far the page reached and are not shown. Events of
# another cluster, which the database was restored from, are history: their transactions' numbers mean nothing here.
FEED = Statement(
    f"""
    SELECT :returned
    FROM :after
    CROSS JOIN LATERAL (
        SELECT * FROM events e
        WHERE e.project_id = after.project_id AND (e.xid, e.id) > (CAST(after.xid AS xid8), after.id)
          AND e.xid < pg_snapshot_xmin(pg_current_snapshot()) AND e.id > {BEGINS_AFTER}
        ORDER BY e.xid, e.id LIMIT :limit
    ) e
    LEFT JOIN {lookup("jobs", "j", project_id="e.project_id", id="e.job_id")} ON true
    ORDER BY e.project_id, e.xid, e.id
    """,
    Values(_FeedPage),
    Projection(_Passed, columns={"present": "j.id IS NOT NULL", "event": EVENT.but(queue="coalesce(j.queue, '')")}),
)


@dataclass(slots=True)
class PageEnd:
    """How far a page reached in one project, and how many rows that were."""

    position: Position
    rows: int = 0


async def select_feed(
    connection: Connection, after: Mapping[UUID, Position], limit: int
) -> tuple[list[JobEventRecord], dict[UUID, PageEnd]]:
    """Read up to `limit` events of each project behind its position, and how far that was."""
    behind = [_After(project_id, str(position.xid), position.id) for project_id, position in after.items()]
    events: list[JobEventRecord] = []
    ends: dict[UUID, PageEnd] = {}
    for row in await connection.fetch(FEED, _FeedPage(behind, limit)):
        event = row.event
        end = ends.setdefault(event.project_id, PageEnd(event.position))
        end.position, end.rows = event.position, end.rows + 1
        if row.present:
            events.append(event)
    return events, ends


_SETTLED: Final = "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)"
HEAD = Statement(
    "SELECT :returned",
    returns=Projection(Position, columns={"xid": f"{_SETTLED} - 1", "id": f"{2**63 - 1}", "epoch": EPOCH}),
)


async def select_head(connection: Connection) -> Position:
    """Return the position behind everything that is settled now."""
    return await connection.fetchone(HEAD, None)


_OF_JOB: Final = and_(_EVENTS.c.project_id == bindparam("project_id"), _EVENTS.c.job_id == bindparam("job_id"))
LAST_OF_JOB = CoreStatement(
    select(*_POSITION.elements()).where(_OF_JOB).order_by(_EVENTS.c.id.desc()).limit(literal_column("1")),
    Values(JobRef),
    _POSITION,
)


async def select_last_of_job(connection: Connection, project_id: UUID, job_id: UUID) -> Position:
    """Return the position of a job's latest event, the one before all events if it has none."""
    return await connection.fetchrow(LAST_OF_JOB, JobRef(project_id, job_id)) or Position(0, 0)
