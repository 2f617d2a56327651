"""Creating jobs: one statement for all rows that a job begins with, many jobs at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Batch, Int2, Int4
from app.db.projection import Projection
from app.db.statement import Statement
from app.db.times import END
from app.domain.item import Counts
from app.domain.job import CreateRequest, Documents, Job, Retry
from app.domain.records import quick
from app.domain.states import JobState


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class _NewJobRow:
    """A job to insert. What is a column of `jobs` is stored as it is, unless `_COMPUTED` says how."""

    project_id: UUID
    id: UUID
    type: str
    queue: str
    engine: str | None
    collection: str | None
    priority: Int2
    max_attempts: Int4
    retry: Retry | None
    expected_seconds: Int4 | None
    original_job_id: UUID | None
    labels: dict[str, str]
    items_total: int
    token: UUID | None
    worker: str | None
    scheduled_at: datetime | None
    expires_at: datetime | None
    lifetime: timedelta | None
    lease_seconds: Int4 | None
    payload: Any


def _row(request: CreateRequest) -> _NewJobRow:
    job, claim = request.job, request.job.claim
    return _NewJobRow(
        project_id=request.project_id,
        id=job.id,
        type=job.type,
        queue=job.queue,
        engine=job.engine,
        collection=job.collection,
        priority=job.priority,
        max_attempts=job.max_attempts,
        retry=job.retry,
        expected_seconds=job.expected_seconds,
        original_job_id=request.original_job_id,
        labels=job.labels,
        items_total=len(job.items),
        token=request.token,
        worker=claim.worker if claim else None,
        scheduled_at=job.scheduled_at,
        expires_at=job.expires_at,
        lifetime=job.lifetime,
        lease_seconds=claim.lease_seconds if claim else None,
        payload=job.payload,
    )


_DEFAULT_RETRY: Final = Retry()
_EXPECTED: Final = "coalesce(i.expected_seconds, q.expected_seconds)"
_COMPUTED: Final = {
    "state": "CASE WHEN i.token IS NULL THEN 'pending' ELSE 'dispatched' END",
    "attempt": "CASE WHEN i.token IS NULL THEN 0 ELSE 1 END",
    "version": "1",
    "progress": "0",
    "labels": "CAST(i.labels AS json)",
    **{
        f"retry_{field.name}": f"coalesce(i.retry_{field.name}, q.retry_{field.name}, "
        f"{getattr(_DEFAULT_RETRY, field.name)})"
        for field in fields(Retry)
    },
    "expected_seconds": _EXPECTED,
    "expected_end_at": "CASE WHEN i.token IS NOT NULL "
    f"THEN statement_timestamp() + {_EXPECTED} * interval '1 second' END",
    "items_processed": "0",
    "items_failed": "0",
    "items_skipped": "0",
    "created_at": "statement_timestamp()",
    "updated_at": "statement_timestamp()",
    "status_changed_at": "statement_timestamp()",
    "scheduled_at": "i.due",
    # A rerun's deadline after the last time there is becomes none.
    "expires_at": "coalesce(i.expires_at, "
    f"CASE WHEN statement_timestamp() + i.lifetime < {END} THEN statement_timestamp() + i.lifetime END)",
    "started_at": "CASE WHEN i.token IS NOT NULL THEN statement_timestamp() END",
}
_INSERTED: Final = {
    field.name: f"i.{field.name}" for field in fields(_NewJobRow) if field.name in tables.jobs.c
} | _COMPUTED


@dataclass(frozen=True, slots=True)
class _Inserted:
    """The values of a new job that the database determines."""

    id: UUID
    created_at: datetime
    scheduled_at: datetime
    expires_at: datetime | None
    retry: Retry
    expected_seconds: int | None
    new_queues: int
    """How many rows of queues the statement made."""


_NEW_QUEUES: Final = """
    new_queues AS (
        INSERT INTO queues (project_id, name, created_at, updated_at)
        SELECT DISTINCT i.project_id, i.queue, statement_timestamp(), statement_timestamp() FROM input i
        WHERE NOT EXISTS (SELECT FROM queues q WHERE q.project_id = i.project_id AND q.name = i.queue)
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        RETURNING 1
    ),
"""


def _statement(*, known_queues: bool) -> Statement[Sequence[_NewJobRow], _Inserted]:
    queue = f"CROSS JOIN {lookup('queues', 'k', project_id='i.project_id', name='i.queue')}" if known_queues else ""
    return Statement(
        f"""
        WITH input AS (
            SELECT i.*, coalesce(i.scheduled_at, statement_timestamp()) AS due FROM :rows {queue}
        ), {"" if known_queues else _NEW_QUEUES} new_payloads AS (
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
        ), history AS (
            INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
            SELECT i.project_id, i.id,
                   CASE WHEN s.n = 1 THEN 'job.claimed' WHEN i.original_job_id IS NULL THEN 'job.created'
                        ELSE 'job.rerun' END,
                   statement_timestamp(), s.n, CASE WHEN s.n = 1 THEN i.worker END,
                   CASE WHEN s.n = 1 THEN 'pending' END, CASE WHEN s.n = 1 THEN 'dispatched' ELSE 'pending' END,
                   CASE WHEN i.original_job_id IS NOT NULL
                        THEN json_build_object('original_job_id', i.original_job_id) END
            FROM input i JOIN (VALUES (0), (1)) AS s (n) ON s.n = 0 OR i.token IS NOT NULL
            ORDER BY s.n
        ), inserted AS (
            INSERT INTO jobs ({", ".join(_INSERTED)})
            SELECT {", ".join(_INSERTED.values())}
            FROM input i LEFT JOIN {lookup("queues", "q", project_id="i.project_id", name="i.queue")} ON true
            RETURNING *
        )
        SELECT :returned FROM inserted jobs
        """,
        Batch(_NewJobRow),
        Projection(
            _Inserted, tables.jobs, {"new_queues": "0" if known_queues else "(SELECT count(*) FROM new_queues)"}
        ),
    )


INSERT: Final = _statement(known_queues=False)
INSERT_INTO_KNOWN_QUEUES: Final = _statement(known_queues=True)

_AS_GIVEN: Final = tuple(
    field.name
    for field in fields(Job)
    if field.name
    in {given.name for given in fields(_NewJobRow)} - {"retry", "expected_seconds", "scheduled_at", "expires_at"}
)
"""Fields of a new job that are as they were sent."""


async def insert(connection: Connection, requests: Sequence[CreateRequest]) -> tuple[dict[UUID, Job], bool]:
    """Insert jobs with payloads, labels, leases, unknown queues and the beginning of their history; returns them as
    they are now, by id, and whether there were unknown queues. Their items are inserted by `items.insert_new`.
    """
    found, inserted = await _insert(connection, INSERT, requests)
    return found, any(row.new_queues for row in inserted)


async def insert_into_known_queues(connection: Connection, requests: Sequence[CreateRequest]) -> dict[UUID, Job]:
    """Insert the jobs whose queue is known, as `insert` does; the others are left out of the answer."""
    found, _ = await _insert(connection, INSERT_INTO_KNOWN_QUEUES, requests)
    return found


async def _insert(
    connection: Connection, statement: Statement[Sequence[_NewJobRow], _Inserted], requests: Sequence[CreateRequest]
) -> tuple[dict[UUID, Job], list[_Inserted]]:
    rows = [_row(request) for request in requests]
    by_id = {row.id: row for row in rows}
    inserted = await connection.fetch(statement, rows)
    return {row.id: _created(by_id[row.id], row) for row in inserted}, inserted


def _created(row: _NewJobRow, inserted: _Inserted) -> Job:
    """Build the new job from the values sent and those returned. Reading it back would double the rows."""
    claimed = row.token is not None
    return Job(
        **{name: getattr(row, name) for name in _AS_GIVEN},
        state=JobState.DISPATCHED if claimed else JobState.PENDING,
        stage=None,
        progress=0.0,
        counts=Counts(row.items_total),
        message=None,
        eta=None,
        error=None,
        attempt=int(claimed),
        retry=inserted.retry,
        expected_seconds=inserted.expected_seconds,
        overdue=False,
        version=1,
        created_at=inserted.created_at,
        updated_at=inserted.created_at,
        status_changed_at=inserted.created_at,
        scheduled_at=inserted.scheduled_at,
        expires_at=inserted.expires_at,
        started_at=inserted.created_at if claimed else None,
        completed_at=None,
        cancelled_at=None,
        cancelled_by=None,
        documents=Documents(row.payload),
    )
