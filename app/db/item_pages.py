"""Items as they are read: a page by position or by offset. Under one key of several jobs: `item_keys`."""

from collections.abc import Collection
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


def window_of(after: str, condition: str = "true") -> str:
    """Write the items of a job behind a position, no more than a window of them, with their job."""
    return f"""
        jobs j CROSS JOIN LATERAL (
            SELECT * FROM items t WHERE t.project_id = j.project_id AND t.job_id = j.id AND t.position > {after}
                AND {condition}
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
    codes: frozenset[str] | None
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


def _page_of(items: str) -> Statement[_Window, _WindowRow]:
    """Declare the statement that reads a page of some items.

    The window is bounded before status and code are compared, so that a sparse filter gives a short page and never a
    long scan. What an answer has no room for is not sent.
    """
    return Statement(
        f"""
    WITH w AS MATERIALIZED (SELECT {ITEM.select_list}, {ITEM_SIZE} AS size FROM {items}),
    matching AS (
        SELECT * FROM w WHERE (:status IS NULL OR w.status = ANY (:status))
            AND (:codes IS NULL OR w.error_code = ANY (:codes))
    )
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


PAGE = _page_of(window_of(":after"))
ERROR_PAGE = _page_of(window_of(":after", "t.error_code IS NOT NULL"))
"""Of the items that have an error, which an index finds."""


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
    codes: Collection[str] | None = None,
    with_error: bool = False,
) -> WindowOfItems:
    """Examine up to `window` items behind a position, or of those alone that have an error; returns up to `limit` with
    one of the statuses and codes, in their order, no more than `max_size` bytes of them, but for the first.
    """
    page = _Window(
        project_id=ref.project_id,
        job_id=ref.job_id,
        after=after,
        window=window,
        status=None if status is None else frozenset(status),
        codes=None if codes is None else frozenset(codes),
        limit=limit,
        max_size=max_size,
    )
    rows = await connection.fetch(ERROR_PAGE if with_error or codes is not None else PAGE, page)
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
        SELECT t.position, t.key, {SHOWN_STATUS} AS status FROM {window_of("0")}
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
