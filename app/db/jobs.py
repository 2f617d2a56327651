"""Jobs: reading them. How they are made is in `new_jobs`, how they move in `transitions`, how they are handed out in
`claims`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.lookups import lookup, state_among
from app.db.times import finite
from app.domain.item import Counts
from app.domain.job import Documents, Eta, Job, JobFailure, JobKey, Known, Retry
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

KEYS = "unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[])) AS i (project_id, job_id)"
ASKED = f"{KEYS} CROSS JOIN {lookup('jobs', 'j', project_id='i.project_id', id='i.job_id')}"
RUN = lookup("runs", "r", project_id="j.project_id", job_id="j.id")

SELECT = Statement(f"SELECT {COLUMNS} FROM {ASKED} LEFT JOIN {RUN} ON true")
SELECT_WITH_DOCUMENTS = Statement(f"""
    SELECT {COLUMNS}, p.payload, s.result, s.billing FROM {ASKED} LEFT JOIN {RUN} ON true
    LEFT JOIN {lookup("payloads", "p", project_id="j.project_id", job_id="j.id")} ON true
    LEFT JOIN {lookup("results", "s", project_id="j.project_id", job_id="j.id")} ON true
""")
SLICE = 500
"""Jobs that are written down before others may have the event loop: a fifth of a millisecond."""

# The ids come as three long texts and what has not changed does not come back: ten thousand jobs whose watchers have
# seen all cost the event loop 7 ms. As arrays of ids, with a row for each, they cost it 60.
SELECT_CHANGED = Statement(f"""
    SELECT i.n, j.version + coalesce(r.version, 0) AS version
    FROM unnest(CAST(string_to_array(:project_ids, ',') AS uuid[]), CAST(string_to_array(:job_ids, ',') AS uuid[]),
                CAST(string_to_array(:versions, ',') AS bigint[])) WITH ORDINALITY AS i (project_id, job_id, version, n)
    LEFT JOIN {lookup("jobs", "j", project_id="i.project_id", id="i.job_id")} ON true
    LEFT JOIN {RUN} ON true
    WHERE j.version + coalesce(r.version, 0) IS DISTINCT FROM i.version
""")


def _columns(keys: Sequence[JobKey]) -> dict[str, list[UUID]]:
    return {"project_ids": [project_id for project_id, _ in keys], "job_ids": [job_id for _, job_id in keys]}


_WIDTH: Final = 38
"""How many `COLUMNS` there are."""
_STATES: Final[Mapping[str, JobState]] = {state.value: state for state in JobState}


def job_from_row(row: Row, documents: Documents | None = None, *, first: int = 0) -> Job:
    """Build the job from a row in which `COLUMNS` stand from the one numbered `first` on."""
    # Unpacked: attribute by attribute this would take three times as long, and every job of every batch comes by here.
    (
        project_id,
        job_id,
        type_,
        queue,
        engine,
        collection,
        state,
        priority,
        attempt,
        max_attempts,
        retry_delay,
        retry_factor,
        retry_max_delay,
        original_job_id,
        labels,
        worker,
        version,
        stage,
        progress,
        message,
        total,
        processed,
        failed,
        skipped,
        eta,
        eta_low,
        eta_high,
        error_code,
        error_message,
        created_at,
        updated_at,
        status_changed_at,
        scheduled_at,
        expires_at,
        started_at,
        completed_at,
        cancelled_at,
        cancelled_by,
    ) = row[first : first + _WIDTH]
    return Job(
        project_id=project_id,
        id=job_id,
        type=type_,
        queue=queue,
        engine=engine,
        collection=collection,
        state=_STATES[state],
        stage=stage,
        progress=progress,
        counts=Counts(total, processed, failed, skipped),
        message=message,
        eta=None if eta is None else Eta(eta, eta_low, eta_high),
        error=None if error_code is None else JobFailure(error_code, error_message or ""),
        labels=labels,
        priority=priority,
        attempt=attempt,
        max_attempts=max_attempts,
        retry=Retry(retry_delay, retry_factor, retry_max_delay),
        original_job_id=original_job_id,
        worker=worker,
        version=version,
        created_at=created_at,
        updated_at=updated_at,
        status_changed_at=status_changed_at,
        scheduled_at=scheduled_at,
        expires_at=finite(expires_at),
        started_at=started_at,
        completed_at=completed_at,
        cancelled_at=cancelled_at,
        cancelled_by=cancelled_by,
        documents=documents,
    )


async def select_by_ids(connection: Connection, keys: Sequence[JobKey]) -> dict[JobKey, Job]:
    """Read jobs without their documents; unknown ones are left out."""
    rows = await connection.fetch(SELECT, _columns(keys))
    return {(row[0], row[1]): job_from_row(row) for row in rows}


async def select_with_documents(connection: Connection, keys: Sequence[JobKey]) -> dict[JobKey, Job]:
    """Read jobs with payload, result and billing, in one statement so that they fit the version."""
    rows = await connection.fetch(SELECT_WITH_DOCUMENTS, _columns(keys))
    return {(row[0], row[1]): job_from_row(row, Documents(*row[_WIDTH:])) for row in rows}


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


def reruns(original_job_id: str) -> str:
    """Write the walk over a job's reruns: all there are, along their own index.

    No other gives this order. OFFSET keeps what the outer WHERE says of ids out of it, which the index of all jobs by
    id would seem to serve.
    """
    return f"""
        SELECT j.id, j.state FROM jobs j WHERE j.project_id = :project_id
          AND j.original_job_id BETWEEN {original_job_id} AND {original_job_id} ORDER BY j.original_job_id OFFSET 0
    """


SELECT_LIVE_RERUN = Statement(f"""
    SELECT j.id FROM ({reruns(":job_id")}) j WHERE {state_among(LIVE)} ORDER BY j.id LIMIT 1
""")


async def select_live_rerun(connection: Connection, key: JobKey) -> UUID | None:
    """Find a rerun of this job that is still under way."""
    found: UUID | None = await connection.fetchval(SELECT_LIVE_RERUN, {"project_id": key[0], "job_id": key[1]})
    return found
