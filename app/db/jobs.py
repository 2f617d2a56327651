"""Jobs: inserting and reading them. How they move is in `transitions`, how they are handed out in `claims`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.tables import literals
from app.domain.item import Counts
from app.domain.job import Documents, Eta, Job, JobFailure, JobKey, Known, NewJob, Retry
from app.domain.states import LIVE, JobState

COLUMNS = """
    j.project_id, j.id, j.type, j.queue, j.engine, j.collection, j.state, j.priority, j.attempt, j.max_attempts,
    j.retry_delay_seconds, j.retry_factor, j.retry_max_delay_seconds, j.original_job_id, j.labels, j.worker,
    j.version + coalesce(r.version, 0) AS version, coalesce(r.stage, j.stage) AS stage,
    coalesce(r.progress, j.progress) AS progress, coalesce(r.message, j.message) AS message,
    coalesce(greatest(r.items_count, r.declared_total), j.items_total) AS items_total,
    coalesce(r.items_processed, j.items_processed) AS items_processed,
    coalesce(r.items_failed, j.items_failed) AS items_failed,
    coalesce(r.items_skipped, j.items_skipped) AS items_skipped,
    r.eta_seconds, r.eta_low_seconds, r.eta_high_seconds, j.error_code, j.error_message, j.created_at,
    greatest(j.updated_at, r.updated_at) AS updated_at, j.status_changed_at, j.scheduled_at, j.expires_at, j.started_at,
    j.completed_at, j.cancelled_at, j.cancelled_by
"""

ASKED = """
    unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[])) AS i (project_id, job_id)
    JOIN jobs j ON j.project_id = i.project_id AND j.id = i.job_id
    LEFT JOIN runs r ON r.project_id = j.project_id AND r.job_id = j.id
"""

SELECT = Statement(f"SELECT {COLUMNS} FROM {ASKED}")
SELECT_WITH_DOCUMENTS = Statement(f"""
    SELECT {COLUMNS}, p.payload, s.result, s.billing FROM {ASKED}
    LEFT JOIN payloads p ON p.project_id = j.project_id AND p.job_id = j.id
    LEFT JOIN results s ON s.project_id = j.project_id AND s.job_id = j.id
""")
SLICE = 500
"""Jobs that are written down before others may have the event loop: a fifth of a millisecond."""

# The ids come as three long texts and what has not changed does not come back: ten thousand jobs whose watchers have
# seen all cost the event loop 7 ms. As arrays of ids, with a row for each, they cost it 60.
SELECT_CHANGED = Statement("""
    SELECT i.n, j.version + coalesce(r.version, 0) AS version
    FROM unnest(CAST(string_to_array(:project_ids, ',') AS uuid[]), CAST(string_to_array(:job_ids, ',') AS uuid[]),
                CAST(string_to_array(:versions, ',') AS bigint[])) WITH ORDINALITY AS i (project_id, job_id, version, n)
    LEFT JOIN jobs j ON j.project_id = i.project_id AND j.id = i.job_id
    LEFT JOIN runs r ON r.project_id = j.project_id AND r.job_id = j.id
    WHERE j.version + coalesce(r.version, 0) IS DISTINCT FROM i.version
""")


def _columns(keys: Sequence[JobKey]) -> dict[str, list[UUID]]:
    return {"project_ids": [project_id for project_id, _ in keys], "job_ids": [job_id for _, job_id in keys]}


def job_from_row(row: Row, documents: Documents | None = None) -> Job:
    """Build the job from a row of `COLUMNS`."""
    eta = None
    if row.eta_seconds is not None:
        eta = Eta(row.eta_seconds, row.eta_low_seconds, row.eta_high_seconds)
    error = None
    if row.error_code is not None:
        error = JobFailure(row.error_code, row.error_message or "")
    return Job(
        project_id=row.project_id,
        id=row.id,
        type=row.type,
        queue=row.queue,
        engine=row.engine,
        collection=row.collection,
        state=JobState(row.state),
        stage=row.stage,
        progress=row.progress,
        counts=Counts(row.items_total, row.items_processed, row.items_failed, row.items_skipped),
        message=row.message,
        eta=eta,
        error=error,
        labels=row.labels,
        priority=row.priority,
        attempt=row.attempt,
        max_attempts=row.max_attempts,
        retry=Retry(row.retry_delay_seconds, row.retry_factor, row.retry_max_delay_seconds),
        original_job_id=row.original_job_id,
        worker=row.worker,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        status_changed_at=row.status_changed_at,
        scheduled_at=row.scheduled_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        cancelled_at=row.cancelled_at,
        cancelled_by=row.cancelled_by,
        documents=documents,
    )


async def select_by_ids(connection: Connection, keys: Sequence[JobKey]) -> dict[JobKey, Job]:
    """Read jobs without their documents; unknown ones are left out."""
    rows = await connection.fetch(SELECT, _columns(keys))
    return {(row.project_id, row.id): job_from_row(row) for row in rows}


async def select_with_documents(connection: Connection, keys: Sequence[JobKey]) -> dict[JobKey, Job]:
    """Read jobs with payload, result and billing, in one statement so that they fit the version."""
    rows = await connection.fetch(SELECT_WITH_DOCUMENTS, _columns(keys))
    return {
        (row.project_id, row.id): job_from_row(row, Documents(row.payload, row.result, row.billing)) for row in rows
    }


async def select_changed(connection: Connection, known: Sequence[Known]) -> dict[Known, int | None]:
    """Say which of these jobs have another version than is known, and which one; None for a job that is gone."""
    project_ids, job_ids, versions = [], [], []
    for start in range(0, len(known), SLICE):
        if start:
            await asyncio.sleep(0)
        part = known[start : start + SLICE]
        project_ids.append(",".join([one.project_hex for one in part]))
        job_ids.append(",".join([one.job_hex for one in part]))
        versions.append(",".join([str(one.version) for one in part]))
    rows = await connection.fetch(
        SELECT_CHANGED,
        {"project_ids": ",".join(project_ids), "job_ids": ",".join(job_ids), "versions": ",".join(versions)},
    )
    return {known[n - 1]: version for n, version in rows}


@dataclass(frozen=True, slots=True)
class Fence:
    """What decides how a refused call is answered."""

    state: JobState
    token: UUID | None
    final_call: bytes | None


SELECT_FENCES = Statement(f"SELECT j.project_id, j.id, j.state, j.token, j.final_call FROM {ASKED}")


async def select_fences(connection: Connection, keys: Sequence[JobKey]) -> dict[JobKey, Fence]:
    """Read what a refused worker's call is judged by."""
    rows = await connection.fetch(SELECT_FENCES, _columns(keys))
    return {(row.project_id, row.id): Fence(JobState(row.state), row.token, row.final_call) for row in rows}


SELECT_LIVE_RERUN = Statement(f"""
    SELECT j.id FROM jobs j
    WHERE j.project_id = :project_id AND j.original_job_id = :job_id AND j.state IN ({literals(LIVE)})
    ORDER BY j.id LIMIT 1
""")


async def select_live_rerun(connection: Connection, key: JobKey) -> UUID | None:
    """Find a rerun of this job that is still under way."""
    found: UUID | None = await connection.fetchval(SELECT_LIVE_RERUN, {"project_id": key[0], "job_id": key[1]})
    return found


INSERT = Statement("""
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
        SELECT DISTINCT i.project_id, i.queue, statement_timestamp(), statement_timestamp() FROM input i
        WHERE NOT EXISTS (SELECT FROM queues q WHERE q.project_id = i.project_id AND q.name = i.queue)
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
               items_total, 0, 0, 0, '{}', 0, statement_timestamp()
        FROM input WHERE token IS NOT NULL
    )
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
           coalesce(i.expires_at, statement_timestamp() + i.lifetime),
           CASE WHEN i.token IS NOT NULL THEN statement_timestamp() END
    FROM input i LEFT JOIN queues q ON q.project_id = i.project_id AND q.name = i.queue
    RETURNING created_at AS now
""")


@dataclass(frozen=True, slots=True)
class Creation:
    """A job to insert, for whom, and what it is a rerun of. `token` is set for a job created already claimed."""

    project_id: UUID
    job: NewJob
    original_job_id: UUID | None = None
    token: UUID | None = None


async def insert(connection: Connection, creations: Sequence[Creation]) -> None:
    """Insert jobs with payloads, labels, leases and unknown queues; their items come with `items.insert_new`."""
    jobs = [creation.job for creation in creations]
    default = Retry()
    await connection.execute(
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


SET_ITEMS_TOTAL = Statement("UPDATE jobs SET items_total = :total WHERE project_id = :project_id AND id = :job_id")


async def set_items_total(connection: Connection, key: JobKey, total: int) -> None:
    """Write how many items a job has, when they were copied to it in the transaction that made it."""
    await connection.execute(SET_ITEMS_TOTAL, {"project_id": key[0], "job_id": key[1], "total": total})
