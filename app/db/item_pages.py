"""Items as they are read: a page by position, by offset, or under one key of several jobs."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.projection import Projection, Value
from app.db.sizes import FITS, running_total, size_of_json, size_of_texts
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


ITEM_SIZE: Final = " + ".join(
    (
        "400",
        size_of_json("t.result"),
        # The key is in the id as well.
        size_of_texts(*(f"t.{name}" for name in ("key", "key", "name", "uri", "stage", "message", "error_code"))),
        size_of_texts("t.error_message", "t.skip_reason"),
    )
)
"""The bytes of an item `t`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    project_id: UUID
    job_id: UUID
    after: int
    window: int
    status: frozenset[ItemStatus] | None
    limit: int
    max_size: int


@dataclass(frozen=True, slots=True)
class _WindowRow:
    """An item that matches, with totals of the window. A window without such items is one row whose item is null."""

    examined: int
    last_position: int
    matching: int
    size: int
    item: Item | None


# The window is bounded before the status is compared, so that a sparse filter gives a short page and never a long
# scan. What an answer has no room for is not sent.
PAGE = Statement(
    f"""
    WITH w AS MATERIALIZED (SELECT {ITEM.select_list}, {ITEM_SIZE} AS size FROM {_window(":after")}),
    matching AS (SELECT * FROM w WHERE :status IS NULL OR w.status = ANY (:status))
    SELECT :returned FROM (SELECT count(*) AS examined, coalesce(max(w.position), 0) AS last_position FROM w) e
    LEFT JOIN {running_total("SELECT * FROM matching", "position")} m ON m.place <= :limit AND {FITS}
    ORDER BY m.position
    """,
    Values(_Window),
    Projection(
        _WindowRow,
        "e",
        {
            "matching": "coalesce(m.found, 0)",
            "size": "coalesce(m.size_so_far, 0)",
            "item": ITEM.over("m", absent_without="position"),
        },
    ),
)


@dataclass(frozen=True, slots=True)
class WindowOfItems:
    """Items of a window that match, how many it examined, the last of those, how many of them match, and how many bytes
    the items take that are here.
    """

    items: tuple[Item, ...]
    examined: int
    last_position: int
    matching: int
    size: int


async def select_window(
    connection: Connection,
    ref: JobRef,
    *,
    after: int,
    window: int,
    limit: int,
    max_size: int,
    status: Collection[ItemStatus] | None = None,
) -> WindowOfItems:
    """Examine up to `window` items behind a position; returns up to `limit` with one of the statuses, in their order,
    no more than `max_size` bytes of them, but for the first.
    """
    page = _Window(
        project_id=ref.project_id,
        job_id=ref.job_id,
        after=after,
        window=window,
        status=None if status is None else frozenset(status),
        limit=limit,
        max_size=max_size,
    )
    rows = await connection.fetch(PAGE, page)
    items = tuple(row.item for row in rows if row.item is not None)
    return WindowOfItems(items, rows[0].examined, rows[0].last_position, rows[0].matching, int(rows[-1].size))


@dataclass(frozen=True, slots=True, kw_only=True)
class _OffsetPage:
    project_id: UUID
    job_id: UUID
    status: ItemStatus
    offset: int
    limit: int
    window: int
    max_size: int


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
    shown AS (SELECT f.key FROM fits f ORDER BY f.position LIMIT :limit OFFSET :offset),
    measured AS (
        SELECT {ITEM.select_list}, {ITEM_SIZE} AS size FROM jobs j CROSS JOIN shown s
        CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key="s.key")}
        WHERE j.project_id = :project_id AND j.id = :job_id
    )
    SELECT :returned FROM (SELECT count(*) AS total FROM fits) e
    LEFT JOIN {running_total("SELECT * FROM measured", "position")} m ON {FITS}
    ORDER BY m.position
    """,
    Values(_OffsetPage),
    Projection(_Counted, "e", {"item": ITEM.over("m", absent_without="position")}),
)


async def select_by_offset(
    connection: Connection, ref: JobRef, status: ItemStatus, *, offset: int, limit: int, max_size: int
) -> CountedItems:
    """Read the items of one status behind the first `offset`, no more than `max_size` bytes but for the first, and how
    many have it, among the first 100,000.
    """
    page = _OffsetPage(
        project_id=ref.project_id,
        job_id=ref.job_id,
        status=status,
        offset=offset,
        limit=limit,
        window=MOST_BY_OFFSET,
        max_size=max_size,
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
