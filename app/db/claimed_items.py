"""The unfinished items of claimed jobs, the first of each: one statement for all of a claim."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.connection import Connection
from app.db.item_pages import ITEM, ITEM_SIZE
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement, literals
from app.domain.item import UNFINISHED_ITEM, Item, ItemPage

_ITEM: Final = ITEM.but(status="t.status")
"""Of a job that is held, as every claimed one is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClaimedJobs:
    project_id: UUID
    job_ids: Sequence[UUID]
    window: int
    limit: int
    max_size: int


@dataclass(frozen=True, slots=True)
class _ClaimedItem:
    """An item of a job, with totals of the job's window. A window without such items is one row whose item is null."""

    job_id: UUID
    examined: int
    last_position: int
    matching: int
    size: int
    item: Item | None


# Positions and statuses first: of what is finished, nothing is measured. No item takes less than 400 bytes, so no more
# are measured than could be sent.
UNFINISHED = Statement(
    f"""
    WITH jobs_in_order AS (SELECT a.id, a.n FROM unnest(:job_ids) WITH ORDINALITY AS a (id, n)),
    w AS MATERIALIZED (
        SELECT o.n, o.id, t.position, t.key, t.status IN ({literals(UNFINISHED_ITEM)}) AS unfinished
        FROM jobs_in_order o CROSS JOIN LATERAL (
            SELECT t.position, t.key, t.status FROM items t
            WHERE t.project_id = :project_id AND t.job_id = o.id AND t.position > 0
            ORDER BY t.position LIMIT :window
        ) t
    ), e AS (
        SELECT o.n, o.id, count(w.position) AS examined, coalesce(max(w.position), 0) AS last_position,
               count(*) FILTER (WHERE w.unfinished) AS matching
        FROM jobs_in_order o LEFT JOIN w ON w.n = o.n GROUP BY o.n, o.id
    ), numbered AS (
        SELECT w.*, row_number() OVER (PARTITION BY w.n ORDER BY w.position) AS place_in_job,
               row_number() OVER (ORDER BY w.n, w.position) AS place
        FROM w WHERE w.unfinished
    ), measured AS (
        SELECT s.n, {_ITEM.select_list}, {ITEM_SIZE} AS size
        FROM (SELECT * FROM numbered WHERE place_in_job <= :limit AND place <= :max_size / 400) s
        CROSS JOIN {lookup("items", "t", project_id=":project_id", job_id="s.id", key="s.key")}
    ), m AS (
        SELECT s.*, sum(s.size) OVER (ORDER BY s.n, s.position) AS size_so_far FROM measured s
    )
    SELECT :returned FROM e LEFT JOIN m ON m.n = e.n AND m.size_so_far <= :max_size
    ORDER BY e.n, m.position
    """,
    Values(_ClaimedJobs),
    Projection(
        _ClaimedItem,
        "e",
        {"job_id": "e.id", "size": "coalesce(m.size, 0)", "item": _ITEM.over("m", absent_without="position")},
    ),
)


async def select_unfinished(
    connection: Connection, project_id: UUID, job_ids: Sequence[UUID], *, window: int, limit: int, max_size: int
) -> dict[UUID, ItemPage]:
    """Examine up to `window` items of each job; returns up to `limit` unfinished ones of each, in the jobs' order no
    more than `max_size` bytes of all together.

    A page that ends early has the position from which the next one of `item_pages.select_window` goes on.
    """
    jobs = _ClaimedJobs(project_id=project_id, job_ids=job_ids, window=window, limit=limit, max_size=max(max_size, 0))
    rows: dict[UUID, list[_ClaimedItem]] = {}
    for row in await connection.fetch(UNFINISHED, jobs):
        rows.setdefault(row.job_id, []).append(row)
    return {job_id: _page(of_job, window) for job_id, of_job in rows.items()}


def _page(rows: Sequence[_ClaimedItem], window: int) -> ItemPage:
    items = tuple(row.item for row in rows if row.item is not None)
    next_position = None
    if len(items) < rows[0].matching:
        next_position = items[-1].position if items else 0
    elif rows[0].examined == window:
        next_position = rows[0].last_position
    return ItemPage(items, next_position, sum(row.size for row in rows))
