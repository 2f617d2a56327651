"""Ended jobs that are kept no longer: by the rule of their queue, or by the service's where that has none.

Those that failed or expired have a time of their own, so that each queue is two lanes, both a stretch of one index.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Int4, Values
from app.db.projection import Projection
from app.db.statement import Statement, literals
from app.domain.job import JobRef
from app.domain.queue import Keeping
from app.domain.states import GAVE_UP

GAVE_UP_SQL: Final = f"CAST(j.state IN ({literals(GAVE_UP)}) AS integer)"
"""1 of a job that failed or expired, as in the index: a plain truth value would be turned into another expression."""
ENDED_ORDER: Final = f"{GAVE_UP_SQL}, j.completed_at"
"""The order of a queue's ended jobs in their index."""
KEEPS_ALL: Final = "EXISTS (SELECT FROM installation s WHERE s.name = 'keeps_ended_jobs')"
"""Whether the database is older than the service's own time, and keeps all jobs until somebody sets one."""


@dataclass(frozen=True, slots=True)
class AgedJob:
    """A job to delete, with what its line in the log says."""

    project_id: UUID
    job_id: UUID
    queue: str
    worker: str | None

    @property
    def ref(self) -> JobRef:
        """The job and its project."""
        return JobRef(self.project_id, self.job_id)


def _of_lane(limit: str) -> str:
    """Write the oldest jobs of a lane `l`, as far as they are older than its seconds."""
    return f"""
        SELECT j.project_id, j.id AS job_id, j.queue, j.worker FROM jobs j
        WHERE j.project_id = l.project_id AND j.queue = l.queue AND {GAVE_UP_SQL} = l.gave_up
          AND j.completed_at IS NOT NULL
          AND j.completed_at < statement_timestamp() - nullif(l.seconds, 0) * interval '1 second'
        ORDER BY j.completed_at LIMIT {limit}
    """


def kept_no_longer(limit: str) -> str:
    """Write the query of jobs that the rule of their queue keeps no longer."""
    return f"""
        SELECT c.* FROM queues q CROSS JOIN LATERAL (
            SELECT q.project_id, q.name AS queue, k.* FROM (
                VALUES (0, q.retention_seconds), (1, q.retention_failed_seconds)
            ) AS k (gave_up, seconds)
        ) l CROSS JOIN LATERAL ({_of_lane(limit)}) c
        WHERE coalesce(q.retention_seconds, q.retention_failed_seconds) IS NOT NULL LIMIT {limit}
    """


@dataclass(frozen=True, slots=True)
class _AtMost:
    limit: int


BY_RULE = Statement(f"SELECT :returned FROM ({kept_no_longer(':limit')}) c", Values(_AtMost), Projection(AgedJob, "c"))


async def select_by_rule(connection: Connection, limit: int) -> list[AgedJob]:
    """Find ended jobs that are older than their queue keeps them."""
    return await connection.fetch(BY_RULE, _AtMost(limit))


@dataclass(frozen=True, slots=True)
class Lane:
    """The jobs of a queue that ended one way."""

    project_id: UUID
    queue: str
    gave_up: int


NO_LANE: Final = Lane(UUID(int=0), "", 0)
"""Before all others."""


@dataclass(frozen=True, slots=True)
class _Walk:
    project_id: UUID
    queue: str
    gave_up: Int4
    lanes: int
    limit: int
    keeping_seconds: int
    keeping_failed_seconds: int
    keeping_is_set: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    n: int
    lane: Lane
    job: AgedJob | None


@dataclass(frozen=True, slots=True)
class Walked:
    """A stretch of the walk over all lanes: what is to be deleted there, and where the walk continues."""

    jobs: Sequence[AgedJob]
    behind: Lane | None
    """None at the end."""


def _next(behind: str) -> str:
    return f"""
        SELECT j.project_id, j.queue, {GAVE_UP_SQL} AS gave_up FROM jobs j
        WHERE (j.project_id, j.queue, {GAVE_UP_SQL}) > ({behind}) AND j.completed_at IS NOT NULL
        ORDER BY j.project_id, j.queue, {ENDED_ORDER} LIMIT 1
    """


# Along the index of ended jobs, one look for each lane: a queue that was deleted still has its ended jobs, and no row.
BY_DEFAULT = Statement(
    f"""
    WITH RECURSIVE lanes (n, project_id, queue, gave_up) AS (
        SELECT 1, f.* FROM ({_next(":project_id, :queue, :gave_up")}) f WHERE :keeping_is_set OR NOT {KEEPS_ALL}
        UNION ALL
        SELECT l.n + 1, f.* FROM lanes l CROSS JOIN LATERAL ({_next("l.project_id, l.queue, l.gave_up")}) f
        WHERE l.n < :lanes
    )
    SELECT :returned FROM (
        SELECT l.*, CASE WHEN l.gave_up = 0 AND q.retention_seconds IS NULL THEN :keeping_seconds
                         WHEN l.gave_up = 1 AND q.retention_failed_seconds IS NULL THEN :keeping_failed_seconds
                    END AS seconds
        FROM lanes l LEFT JOIN {lookup("queues", "q", project_id="l.project_id", name="l.queue")} ON true
    ) l LEFT JOIN LATERAL ({_of_lane(":limit")}) c ON true
    LIMIT :limit + :lanes
    """,
    Values(_Walk),
    Projection(
        _Seen,
        "l",
        {"lane": Projection(Lane, "l"), "job": Projection(AgedJob, "c", absent_without="job_id")},
    ),
)


async def walk(connection: Connection, behind: Lane, keeping: Keeping, *, lanes: int, limit: int) -> Walked:
    """Find ended jobs in the lanes behind one that the service keeps no longer, where their queue has no rule."""
    request = _Walk(
        behind.project_id,
        behind.queue,
        behind.gave_up,
        lanes,
        limit,
        keeping.seconds,
        keeping.failed_seconds,
        keeping.is_set,
    )
    seen = await connection.fetch(BY_DEFAULT, request)
    jobs = [row.job for row in seen if row.job is not None]
    if len(jobs) >= limit:
        # There may be more in these lanes: they are looked at again.
        return Walked(jobs[:limit], behind)
    last = max(seen, key=lambda row: row.n, default=None)
    return Walked(jobs, None if last is None or last.n < lanes else last.lane)
