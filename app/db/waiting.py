"""What is known of jobs that do not go on, of their queues and of their workers: one statement for any number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.claim_candidates import ANY_TYPE
from app.db.connection import Connection
from app.db.jobs import JOBS, RUN, RUNS
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.pauses import in_force
from app.db.projection import Projection
from app.db.statement import Statement, literals
from app.db.workers import IS_RECENT, held_by_workers
from app.domain.job import JobFailure
from app.domain.states import CLAIMABLE, LEASED, LIVE
from app.domain.waiting import MOST_AHEAD, Facts
from app.domain.worker import MOST_WORKERS


@dataclass(frozen=True, slots=True)
class _Jobs:
    project_id: UUID
    job_ids: Sequence[UUID]


def _fits(worker: str, kind: str) -> str:
    """Write whether a worker takes a queue and a type. Of names beyond those that are kept nobody knows: it may."""
    return " AND ".join(
        f"({worker}.{names} IS NULL OR {worker}.more_{names} OR {kind}.{name} = ANY ({worker}.{names}))"
        for names, name in (("queues", "queue"), ("types", "type"))
    )


_LEASED: Final = ", ".join(f"('{state}')" for state in sorted(LEASED))
_PAUSE: Final = ("paused_at", "paused_by", "paused_reason", "paused_until")
# Workers that hold a job are read only where none that asked will do: whoever is busy is there.
_HAS_WORKER: Final = f"""
    CASE WHEN EXISTS (SELECT FROM asker w WHERE {IS_RECENT} AND {_fits("w", "k")}) THEN true
         -- So many ask that some are not kept.
         WHEN (SELECT count(*) FROM asker w WHERE {IS_RECENT}) >= {MOST_WORKERS} THEN true
         WHEN EXISTS (SELECT FROM held h WHERE h.queue = k.queue AND h.type = k.type AND h.engine IS NULL) THEN true
         ELSE EXISTS (SELECT FROM asker w JOIN held h ON h.worker = w.name WHERE {_fits("w", "k")}) END
"""
FACTS = Statement(
    f"""
    WITH job AS MATERIALIZED (
        SELECT j.* FROM (SELECT DISTINCT i.id FROM unnest(:job_ids) AS i (id)) i
        CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="i.id")}
    ), due AS MATERIALIZED (
        SELECT j.queue, j.type, j.engine FROM job j
        WHERE j.state IN ({literals(CLAIMABLE)}) AND NOT j.copying AND j.scheduled_at <= statement_timestamp()
    ), rules AS MATERIALIZED (
        SELECT d.queue, {in_force("q")} AS paused, {", ".join(f"q.{name}" for name in _PAUSE)}, q.concurrency_limit, h.*
        FROM (SELECT DISTINCT d.queue FROM due d) d
        CROSS JOIN {lookup("queues", "q", project_id=":project_id", name="d.queue")}
        CROSS JOIN LATERAL (
            SELECT count(*) AS held, min(l.status_changed_at) AS oldest_held_at,
                   (array_agg(l.worker ORDER BY l.status_changed_at))[1] AS oldest_worker
            FROM (VALUES {_LEASED}) AS s (state) CROSS JOIN LATERAL (
                SELECT j.worker, j.status_changed_at FROM jobs j
                WHERE j.project_id = :project_id AND j.queue = d.queue AND j.state = s.state
                  AND j.state IN ({literals(LIVE)})
                ORDER BY j.scheduled_at
            ) l WHERE q.concurrency_limit IS NOT NULL
        ) h
    ), heads AS MATERIALIZED (
        SELECT c.id, row_number() OVER (
            PARTITION BY l.queue ORDER BY c.priority DESC, c.scheduled_at, c.id) AS place
        FROM (SELECT DISTINCT :project_id AS project_id, d.queue FROM due d WHERE d.engine IS NULL) l
        CROSS JOIN {ANY_TYPE.walk("j.id, j.priority, j.scheduled_at", "l", limit=str(MOST_AHEAD))} c
    ), asker AS MATERIALIZED (
        SELECT * FROM workers w WHERE w.project_id = :project_id
    ), held AS MATERIALIZED (
        SELECT DISTINCT j.worker, j.queue, j.type, j.engine FROM {held_by_workers(":project_id")}
    ), kind AS MATERIALIZED (
        SELECT k.queue, k.type, a.name AS last_worker, a.asked_at AS last_asked_at, {_HAS_WORKER} AS has_worker
        FROM (SELECT DISTINCT d.queue, d.type FROM due d WHERE d.engine IS NULL) k
        LEFT JOIN LATERAL (
            SELECT w.name, w.asked_at FROM asker w WHERE {_fits("w", "k")} ORDER BY w.asked_at DESC LIMIT 1
        ) a ON true
    )
    SELECT :returned FROM job j LEFT JOIN {RUN} ON true
    LEFT JOIN rules q ON q.queue = j.queue LEFT JOIN heads h ON h.id = j.id
    LEFT JOIN kind k ON k.queue = j.queue AND k.type = j.type
    """,
    Values(_Jobs),
    Projection(
        Facts,
        JOBS,
        {
            "now": "statement_timestamp()",
            "items_total": "coalesce(greatest(r.items_count, r.declared_total), j.items_total)",
            "error": Projection(
                JobFailure, JOBS, {"message": "coalesce(j.error_message, '')"}, prefix="error_", absent_without="code"
            ),
            "lease_seconds": RUNS.c.lease_seconds,
            "lease_ends_at": RUNS.c.lease_ends_at,
            "paused": "coalesce(q.paused, false)",
            **{name: f"q.{name}" for name in (*_PAUSE, "concurrency_limit", "oldest_worker", "oldest_held_at")},
            "held": "coalesce(q.held, 0)",
            "place": "h.place",
            "last_worker": "k.last_worker",
            "last_asked_at": "k.last_asked_at",
            "has_worker": "coalesce(k.has_worker, false)",
        },
    ),
)


async def select_facts(connection: Connection, project_id: UUID, job_ids: Sequence[UUID]) -> list[Facts]:
    """Read what is known of these jobs; unknown ones are left out."""
    return await connection.fetch(FACTS, _Jobs(project_id, job_ids))
