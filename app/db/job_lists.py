"""Lists of jobs, newest first: ids are UUIDv7 and sort by creation, so that every page is a walk down an index.

The walk is bounded before the conditions are looked at. A sparse filter gives a short page and a place to go on from,
never a scan into the timeout.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from app.db.connection import Connection, Statement
from app.db.jobs import COLUMNS, RUN, job_from_row, reruns
from app.db.lookups import lookup
from app.domain.ids import id_at
from app.domain.job import Job
from app.domain.job_filter import JobFilter

_PLACE = "j.project_id = :project_id AND j.id < :before AND j.id > :after"
# Each walks one index, the most selective one that the filter has a condition for.
_WALKS = {
    "original": f"""
        SELECT j.id FROM ({reruns(":original_job_id")}) j WHERE j.id < :before AND j.id > :after
        ORDER BY j.id DESC LIMIT :window
    """,
    "label": """
        SELECT l.job_id AS id FROM job_labels l
        WHERE l.project_id = :project_id AND l.name = :label_name AND l.value = :label_value
          AND l.job_id < :before AND l.job_id > :after
        ORDER BY l.job_id DESC LIMIT :window
    """,
    "state": f"""
        SELECT c.id FROM unnest(CAST(:states AS text[])) AS s (state) CROSS JOIN LATERAL (
            SELECT j.id FROM jobs j WHERE {_PLACE} AND j.state = s.state ORDER BY j.id DESC LIMIT :window
        ) c ORDER BY c.id DESC LIMIT :window
    """,
    "all": f"SELECT j.id FROM jobs j WHERE {_PLACE} ORDER BY j.id DESC LIMIT :window",
}
_CONDITIONS = """
    (CAST(:states AS text[]) IS NULL OR j.state = ANY (CAST(:states AS text[])))
    AND (CAST(:types AS text[]) IS NULL OR j.type = ANY (CAST(:types AS text[])))
    AND (CAST(:types_except AS text[]) IS NULL OR j.type <> ALL (CAST(:types_except AS text[])))
    AND (CAST(:queues AS text[]) IS NULL OR j.queue = ANY (CAST(:queues AS text[])))
    AND (CAST(:collection AS text) IS NULL OR j.collection = CAST(:collection AS text)
         OR CAST(:or_no_collection AS boolean) AND j.collection IS NULL)
    AND (CAST(:created_after AS timestamptz) IS NULL OR j.created_at >= CAST(:created_after AS timestamptz))
    AND (CAST(:created_before AS timestamptz) IS NULL OR j.created_at < CAST(:created_before AS timestamptz))
    AND (CAST(:original_job_id AS uuid) IS NULL OR j.original_job_id = CAST(:original_job_id AS uuid))
"""
# A count, because the planner would turn NOT EXISTS into a hash of all labels there are.
_LABELLED = f"""
    AND (SELECT count(*) FROM unnest(CAST(:label_names AS text[]), CAST(:label_values AS text[])) AS w (name, value)
         CROSS JOIN {lookup("job_labels", "l", project_id="j.project_id", job_id="j.id", name="w.name")}
         WHERE l.value = w.value) = cardinality(CAST(:label_names AS text[]))
"""

HIGHEST, LOWEST = UUID(int=2**128 - 1), UUID(int=0)
CLOCKS_DIFFER_BY = timedelta(days=1)
"""An id is made by the service's clock and `created_at` by the database's. A bound on the time bounds the walk as well,
but for this much.
"""


_EDGE = 3
"""How many columns stand before the job's: the edge of what was looked at."""


@cache
def listing(walk: str) -> Statement:
    """Build the statement that pages along one index. Its first columns stand even where no job fits."""
    labelled = _LABELLED if walk in ("label", "original") else ""
    return Statement(f"""
        WITH w AS MATERIALIZED ({_WALKS[walk]}),
        edge AS (SELECT (SELECT id FROM w ORDER BY id LIMIT 1) AS last_id, (SELECT count(*) FROM w) AS seen),
        fits AS MATERIALIZED (
            -- OFFSET keeps the conditions out of the look-up: to the index of one of them it would seem as good.
            SELECT j.id FROM w CROSS JOIN LATERAL (
                SELECT * FROM jobs j WHERE j.project_id = :project_id AND j.id = w.id OFFSET 0
            ) j WHERE {_CONDITIONS} {labelled}
        ), shown AS (SELECT f.id FROM fits f ORDER BY f.id DESC LIMIT :limit OFFSET :offset)
        SELECT e.last_id, e.seen, (SELECT count(*) FROM fits) AS total, m.*
        FROM edge e LEFT JOIN LATERAL (
            SELECT {COLUMNS} FROM shown s CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="s.id")}
            LEFT JOIN {RUN} ON true
        ) m ON true
        ORDER BY m.id DESC
    """)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a walk found: jobs that fit, how many it looked at, the last of those, and how many of them fit."""

    jobs: Sequence[Job]
    seen: int
    last_id: UUID | None
    total: int


def walk_of(wanted: JobFilter) -> str:
    """Name the index that a filter is walked along."""
    if wanted.original_job_id is not None:
        return "original"
    if wanted.labels:
        return "label"
    return "all" if wanted.states is None else "state"


async def select_page(
    connection: Connection,
    project_id: UUID,
    wanted: JobFilter,
    *,
    before: UUID | None,
    window: int,
    limit: int,
    offset: int = 0,
) -> Listed:
    """Look at up to `window` jobs older than `before`, and give up to `limit` of those that fit, newest first."""
    rows = await connection.fetch(
        listing(walk_of(wanted)), _parameters(project_id, wanted, before, window, limit, offset)
    )
    return Listed(
        [job_from_row(row, first=_EDGE) for row in rows if row.id], rows[0].seen, rows[0].last_id, rows[0].total
    )


def _parameters(
    project_id: UUID, wanted: JobFilter, before: UUID | None, window: int, limit: int, offset: int
) -> dict[str, Any]:
    latest = _id_at(wanted.created_before, CLOCKS_DIFFER_BY, HIGHEST)
    parameters: dict[str, Any] = {
        "project_id": project_id,
        "before": latest if before is None else min(before, latest),
        "after": _id_at(wanted.created_after, -CLOCKS_DIFFER_BY, LOWEST),
        "window": window,
        "limit": limit,
        "offset": offset,
        "states": None if wanted.states is None else sorted(wanted.states),
        "types": None if wanted.types is None else sorted(wanted.types),
        "types_except": None if wanted.types_except is None else sorted(wanted.types_except),
        "queues": None if wanted.queues is None else sorted(wanted.queues),
        "collection": wanted.collection,
        "or_no_collection": wanted.or_no_collection,
        "created_after": wanted.created_after,
        "created_before": wanted.created_before,
        "original_job_id": wanted.original_job_id,
    }
    if walk_of(wanted) in ("label", "original"):
        parameters["label_names"] = [name for name, _ in wanted.labels]
        parameters["label_values"] = [value for _, value in wanted.labels]
    if walk_of(wanted) == "label":
        parameters["label_name"], parameters["label_value"] = wanted.labels[0]
    return parameters


def _id_at(moment: datetime | None, slack: timedelta, otherwise: UUID) -> UUID:
    if moment is None:
        return otherwise
    try:
        return id_at(moment + slack)
    except OverflowError:
        return otherwise
