"""New jobs: one statement for all that a job has from the beginning, many jobs at a time."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.lookups import lookup
from app.db.times import END
from app.domain.item import Counts
from app.domain.job import Documents, Job, JobKey, NewJob, Retry
from app.domain.states import JobState

_QUEUE = lookup("queues", "q", project_id="i.project_id", name="i.queue")
# A rerun's deadline that would lie behind the end of all times is none: no clock reaches it.
INSERT = Statement(f"""
    WITH input AS (
        SELECT i.*, coalesce(i.scheduled_at, statement_timestamp()) AS due
        FROM unnest(CAST(:project_ids AS uuid[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:queues AS text[]),
                    CAST(:engines AS text[]), CAST(:collections AS text[]), CAST(:priorities AS smallint[]),
                    CAST(:max_attempts AS integer[]), CAST(:delays AS float8[]), CAST(:factors AS float8[]),
                    CAST(:max_delays AS float8[]), CAST(:originals AS uuid[]), CAST(:labels AS text[]),
                    CAST(:payloads AS text[]), CAST(:scheduled_at AS timestamptz[]), CAST(:expires_at AS timestamptz[]),
                    CAST(:lifetimes AS interval[]), CAST(:items_totals AS bigint[]), CAST(:tokens AS uuid[]),
                    CAST(:workers AS text[]),
                    CAST(:lease_seconds AS integer[]))
             AS i (project_id, id, type, queue, engine, collection, priority, max_attempts, delay, factor, max_delay,
                   original_job_id, labels, payload, scheduled_at, expires_at, lifetime, items_total, token, worker,
                   lease_seconds)
    ), new_queues AS (
        INSERT INTO queues (project_id, name, created_at, updated_at)
        SELECT DISTINCT i.project_id, i.queue, statement_timestamp(), statement_timestamp()
        FROM input i LEFT JOIN {_QUEUE} ON true WHERE q.name IS NULL
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
    ), new_payloads AS (
        INSERT INTO payloads (project_id, job_id, payload)
        SELECT project_id, id, CAST(payload AS json) FROM input WHERE payload IS NOT NULL
    ), new_labels AS (
        INSERT INTO job_labels (project_id, job_id, name, value)
        SELECT i.project_id, i.id, l.key, l.value FROM input i, json_each_text(CAST(i.labels AS json)) l
    ), new_runs AS (
        INSERT INTO runs (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count,
                          items_processed, items_failed, items_skipped, samples, log_lines, updated_at)
        SELECT project_id, id, lease_seconds, statement_timestamp() + lease_seconds * interval '1 second', 0, 0,
               items_total, 0, 0, 0, '{{}}', 0, statement_timestamp()
        FROM input WHERE token IS NOT NULL
    ), told AS (
        INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
        SELECT i.project_id, i.id,
               CASE WHEN s.n = 1 THEN 'job.claimed' WHEN i.original_job_id IS NULL THEN 'job.created'
                    ELSE 'job.rerun' END,
               statement_timestamp(), s.n, CASE WHEN s.n = 1 THEN i.worker END, CASE WHEN s.n = 1 THEN 'pending' END,
               CASE WHEN s.n = 1 THEN 'dispatched' ELSE 'pending' END,
               CASE WHEN i.original_job_id IS NOT NULL
                    THEN json_build_object('original_job_id', i.original_job_id) END
        FROM input i JOIN (VALUES (0), (1)) AS s (n) ON s.n = 0 OR i.token IS NOT NULL
        ORDER BY s.n
    ), made AS (
    INSERT INTO jobs (project_id, id, type, queue, engine, collection, state, priority, attempt, max_attempts,
                      retry_delay_seconds, retry_factor, retry_max_delay_seconds, original_job_id, labels, worker,
                      token, version, progress, items_total, items_processed, items_failed, items_skipped, created_at,
                      updated_at, status_changed_at, scheduled_at, expires_at, started_at)
    SELECT i.project_id, i.id, i.type, i.queue, i.engine, i.collection,
           CASE WHEN i.token IS NULL THEN 'pending' ELSE 'dispatched' END, i.priority,
           CASE WHEN i.token IS NULL THEN 0 ELSE 1 END, i.max_attempts,
           coalesce(i.delay, q.retry_delay_seconds, :default_delay),
           coalesce(i.factor, q.retry_factor, :default_factor),
           coalesce(i.max_delay, q.retry_max_delay_seconds, :default_max_delay),
           i.original_job_id, CAST(i.labels AS json), i.worker, i.token, 1, 0, i.items_total, 0, 0, 0,
           statement_timestamp(), statement_timestamp(), statement_timestamp(), i.due,
           coalesce(i.expires_at,
                    CASE WHEN statement_timestamp() + i.lifetime < {END} THEN statement_timestamp() + i.lifetime END),
           CASE WHEN i.token IS NOT NULL THEN statement_timestamp() END
    FROM input i LEFT JOIN {_QUEUE} ON true
    RETURNING id, created_at, scheduled_at, expires_at, retry_delay_seconds, retry_factor, retry_max_delay_seconds
    )
    SELECT m.* FROM made m
""")


@dataclass(frozen=True, slots=True)
class Creation:
    """A job to insert, for whom, and what it is a rerun of. `token` is set for a job created already claimed."""

    project_id: UUID
    job: NewJob
    original_job_id: UUID | None = None
    token: UUID | None = None


async def insert(connection: Connection, creations: Sequence[Creation]) -> dict[UUID, Job]:
    """Insert jobs with payloads, labels, leases, unknown queues and the beginning of their history; gives them as they
    are now, by id. Their items come with `items.insert_new`.
    """
    jobs = [creation.job for creation in creations]
    default = Retry()
    rows = await connection.fetch(
        INSERT,
        {
            "project_ids": [creation.project_id for creation in creations],
            "ids": [job.id for job in jobs],
            "types": [job.type for job in jobs],
            "queues": [job.queue for job in jobs],
            "engines": [job.engine for job in jobs],
            "collections": [job.collection for job in jobs],
            "priorities": [job.priority for job in jobs],
            "max_attempts": [job.max_attempts for job in jobs],
            "delays": [job.retry.delay_seconds if job.retry else None for job in jobs],
            "factors": [job.retry.factor if job.retry else None for job in jobs],
            "max_delays": [job.retry.max_delay_seconds if job.retry else None for job in jobs],
            "originals": [creation.original_job_id for creation in creations],
            "labels": [json.dumps(job.labels) for job in jobs],
            "payloads": [None if job.payload is None else json.dumps(job.payload) for job in jobs],
            "scheduled_at": [job.scheduled_at for job in jobs],
            "expires_at": [job.expires_at for job in jobs],
            "lifetimes": [job.lifetime for job in jobs],
            "items_totals": [len(job.items) for job in jobs],
            "tokens": [creation.token for creation in creations],
            "workers": [job.claim.worker if job.claim else None for job in jobs],
            "lease_seconds": [job.claim.lease_seconds if job.claim else None for job in jobs],
            "default_delay": default.delay_seconds,
            "default_factor": default.factor,
            "default_max_delay": default.max_delay_seconds,
        },
    )
    of_id = {creation.job.id: creation for creation in creations}
    return {row[0]: _made(of_id[row[0]], row) for row in rows}


def _made(creation: Creation, row: Row) -> Job:
    """Build a new job from what was asked for and what the database has added."""
    _, created_at, scheduled_at, expires_at, *retry = row
    job, claimed = creation.job, creation.token is not None
    return Job(
        project_id=creation.project_id,
        id=job.id,
        type=job.type,
        queue=job.queue,
        engine=job.engine,
        collection=job.collection,
        state=JobState.DISPATCHED if claimed else JobState.PENDING,
        stage=None,
        progress=0.0,
        counts=Counts(len(job.items)),
        message=None,
        eta=None,
        error=None,
        labels=job.labels,
        priority=job.priority,
        attempt=int(claimed),
        max_attempts=job.max_attempts,
        retry=Retry(*retry),
        original_job_id=creation.original_job_id,
        worker=job.claim.worker if job.claim else None,
        version=1,
        created_at=created_at,
        updated_at=created_at,
        status_changed_at=created_at,
        scheduled_at=scheduled_at,
        expires_at=expires_at,
        started_at=created_at if claimed else None,
        completed_at=None,
        cancelled_at=None,
        cancelled_by=None,
        documents=Documents(job.payload),
    )


SET_ITEMS_TOTAL = Statement("UPDATE jobs SET items_total = :total WHERE project_id = :project_id AND id = :job_id")


async def set_items_total(connection: Connection, key: JobKey, total: int) -> None:
    """Write how many items a job has, when they were copied to it in the transaction that made it."""
    await connection.execute(SET_ITEMS_TOTAL, {"project_id": key[0], "job_id": key[1], "total": total})
