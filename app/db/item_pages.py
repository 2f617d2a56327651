"""Items as they are read: a page by position, by offset, or under one key of several jobs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.projection import Projection, Value
from app.db.statement import Statement, literals
from app.domain.item import UNFINISHED_ITEM, CountedItems, Item, ItemStatus
from app.domain.job import JobRef
from app.domain.states import TERMINAL

MOST_BY_OFFSET = 100_000
"""How many items a list by offset examines for a status. Rows that are skipped are read."""

# An unfinished item of an ended job reads as cancelled, so that a million rows need not be rewritten.
SHOWN_STATUS = f"""
    CASE WHEN j.state IN ({literals(TERMINAL)}) AND t.status IN ({literals(UNFINISHED_ITEM)})
         THEN 'cancelled' ELSE t.status END
"""

ITEM: Final = Projection(Item, tables.items.alias("t"), {"status": SHOWN_STATUS})


def _window(after: str) -> str:
    return f"""
        jobs j CROSS JOIN LATERAL (
            SELECT * FROM items t WHERE t.project_id = j.project_id AND t.job_id = j.id AND t.position > {after}
            ORDER BY t.position LIMIT :window
        ) t WHERE j.project_id = :project_id AND j.id = :job_id
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    project_id: UUID
    job_id: UUID
    after: int
    window: int


# The window is bounded before the status is compared, so that a sparse filter gives a short page and never a long
# scan.
PAGE = Statement(f"SELECT :returned FROM {_window(':after')} ORDER BY t.position", Values(_Window), ITEM)


async def select_window(
    connection: Connection, project_id: UUID, job_id: UUID, *, after: int, window: int
) -> list[Item]:
    """Read up to `window` items behind a position, in their order."""
    page = _Window(project_id=project_id, job_id=job_id, after=after, window=window)
    return await connection.fetch(PAGE, page)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OffsetPage:
    project_id: UUID
    job_id: UUID
    status: ItemStatus
    offset: int
    limit: int
    window: int


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    item: Item | None


# One row at least, for the total where no item is shown. Only the first `window` items are examined for a
# status: counting beyond them would cost more than a page by offset is expected to.
OFFSET_PAGE = Statement(
    f"""
    WITH w AS MATERIALIZED (
        SELECT t.position, t.key, {SHOWN_STATUS} AS status FROM {_window("0")}
    ), fits AS MATERIALIZED (SELECT w.position, w.key FROM w WHERE w.status = :status),
    shown AS (SELECT f.key FROM fits f ORDER BY f.position LIMIT :limit OFFSET :offset)
    SELECT :returned FROM (SELECT count(*) AS total FROM fits) e LEFT JOIN LATERAL (
        SELECT {ITEM.select_list} FROM jobs j CROSS JOIN shown s
        CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key="s.key")}
        WHERE j.project_id = :project_id AND j.id = :job_id
    ) m ON true
    ORDER BY m.position
    """,
    Values(_OffsetPage),
    Projection(_Counted, "e", {"item": ITEM.over("m", absent_without="position")}),
)


async def select_by_offset(
    connection: Connection, project_id: UUID, job_id: UUID, status: ItemStatus, *, offset: int, limit: int
) -> CountedItems:
    """Read the items of one status behind the first `offset`, and how many have it, among the first 100,000."""
    page = _OffsetPage(
        project_id=project_id, job_id=job_id, status=status, offset=offset, limit=limit, window=MOST_BY_OFFSET
    )
    rows = await connection.fetch(OFFSET_PAGE, page)
    return CountedItems(tuple(row.item for row in rows if row.item is not None), rows[0].total)


# Positions count from one without a gap, so that the highest is how many there are.
COUNT = Statement(
    """
    SELECT :returned FROM (SELECT coalesce((
        SELECT t.position FROM items t WHERE t.project_id = :project_id AND t.job_id = :job_id AND t.position > 0
        ORDER BY t.position DESC LIMIT 1
    ), 0) AS total) c
    """,
    Values(JobRef),
    Value(int, "c.total"),
)


async def count(connection: Connection, project_id: UUID, job_id: UUID) -> int:
    """Return how many items a job has."""
    return await connection.fetchone(COUNT, JobRef(project_id, job_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyOfJobs:
    project_id: UUID
    job_ids: Sequence[UUID]
    key: str


@dataclass(frozen=True, slots=True)
class _ItemOfJob:
    job_id: UUID
    item: Item


BY_KEY = Statement(
    f"""
    SELECT :returned FROM unnest(:job_ids) AS a (id)
    CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="a.id")}
    CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key=":key")}
    ORDER BY j.id DESC
    """,
    Values(_KeyOfJobs),
    Projection(_ItemOfJob, columns={"job_id": tables.jobs.alias("j").c.id, "item": ITEM}),
)


async def select_by_key(
    connection: Connection, project_id: UUID, job_ids: Sequence[UUID], key: str
) -> dict[UUID, Item]:
    """Read the item that these jobs have under a key, by job, newest job first; jobs without it are left out."""
    rows = await connection.fetch(BY_KEY, _KeyOfJobs(project_id=project_id, job_ids=job_ids, key=key))
    return {row.job_id: row.item for row in rows}
