"""What workers report: the fence that admits a report, and the writes to the narrow row of its run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.jobs import LEASE_LEFT, REQUESTED, RUN
from app.db.lifecycle_sql import accepted, target
from app.db.lookups import target_by_key
from app.db.parameters import Batch, Int4
from app.db.projection import Projection, reading
from app.db.statement import Statement
from app.domain.estimate import Sample
from app.domain.item import Counts
from app.domain.job import Eta
from app.domain.states import JobEvent, JobState


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A job and the token under which its worker reports."""

    project_id: UUID
    job_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Admitted:
    """A report whose token and state were right, with the run as it stands. Valid while the job's lock is held."""

    job_id: UUID
    queue: str
    source: JobState
    target: JobState
    attempt: int
    worker: str | None
    lease_seconds: int | None
    stage: str | None
    progress: float
    declared_total: int | None
    items_count: int
    counts: Counts
    samples: tuple[Sample, ...]
    log_lines: int
    now: float
    """The database's clock, in seconds."""


def _pairs(numbers: Sequence[float]) -> tuple[Sample, ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


_RUN = tables.runs.alias("r")
_JOB = tables.jobs.alias("j")
ADMIT = Statement(
    f"""
    SELECT :returned
    FROM {REQUESTED} CROSS JOIN {RUN}
    WHERE {accepted(JobEvent.REPORT)}
    """,
    Batch(HeldToken),
    Projection(
        Admitted,
        _RUN,
        {
            "queue": _JOB.c.queue,
            "source": _JOB.c.state,
            "target": target(JobEvent.REPORT),
            "attempt": _JOB.c.attempt,
            "worker": _JOB.c.worker,
            "counts": Projection(
                Counts, _RUN, {"total": "greatest(r.items_count, coalesce(r.declared_total, 0))"}, prefix="items_"
            ),
            "samples": reading(_RUN.c.samples, _pairs),
            "now": "CAST(extract(epoch FROM statement_timestamp()) AS float8)",
        },
    ),
)


async def admit(connection: Connection, held: Sequence[HeldToken]) -> dict[UUID, Admitted]:
    """Read the runs of those jobs that are locked, held under their token and live, by job; the rest are left out."""
    return {admitted.job_id: admitted for admitted in await connection.fetch(ADMIT, held)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """The run after a report. Of a bare heartbeat only the lease is written."""

    project_id: UUID
    job_id: UUID
    token: UUID
    lease_seconds: Int4 | None
    bare: bool
    stage: str | None
    progress: float
    message: str | None
    declared_total: int | None
    items_count: int
    counts: Counts
    eta: Eta | None
    samples: str
    """As `array_text` writes them: rows of arrays would be flattened into one."""
    log_lines: int


@dataclass(frozen=True, slots=True)
class _LeaseLeft:
    job_id: UUID
    seconds: float | None


# The lease of a job that is being cancelled is not extended: its worker has until then to acknowledge.
RECORD = Statement(
    f"""
    WITH held AS MATERIALIZED (
        SELECT i.*, j.state FROM {REQUESTED} WHERE j.token = i.token
    )
    UPDATE runs r SET
        lease_seconds = i.lease_seconds,
        lease_ends_at = CASE WHEN i.state = 'cancelling' THEN r.lease_ends_at
                             ELSE statement_timestamp() + i.lease_seconds * interval '1 second' END,
        version = r.version + CASE WHEN i.bare THEN 0 ELSE 1 END,
        updated_at = CASE WHEN i.bare THEN r.updated_at ELSE statement_timestamp() END,
        stage = CASE WHEN i.bare THEN r.stage ELSE i.stage END,
        progress = CASE WHEN i.bare THEN r.progress ELSE i.progress END,
        message = CASE WHEN i.bare THEN r.message ELSE coalesce(i.message, r.message) END,
        declared_total = CASE WHEN i.bare THEN r.declared_total ELSE i.declared_total END,
        items_count = CASE WHEN i.bare THEN r.items_count ELSE i.items_count END,
        items_processed = CASE WHEN i.bare THEN r.items_processed ELSE i.counts_processed END,
        items_failed = CASE WHEN i.bare THEN r.items_failed ELSE i.counts_failed END,
        items_skipped = CASE WHEN i.bare THEN r.items_skipped ELSE i.counts_skipped END,
        eta_seconds = CASE WHEN i.bare THEN r.eta_seconds ELSE i.eta_seconds END,
        eta_low_seconds = CASE WHEN i.bare THEN r.eta_low_seconds ELSE i.eta_low_seconds END,
        eta_high_seconds = CASE WHEN i.bare THEN r.eta_high_seconds ELSE i.eta_high_seconds END,
        samples = CASE WHEN i.bare THEN r.samples ELSE CAST(i.samples AS float8[]) END,
        log_lines = CASE WHEN i.bare THEN r.log_lines ELSE i.log_lines END
    FROM held i WHERE {target_by_key("r", project_id="i.project_id", job_id="i.job_id")}
    RETURNING :returned
    """,
    Batch(RunUpdate),
    Projection(
        _LeaseLeft,
        columns={
            "job_id": _RUN.c.job_id,
            "seconds": LEASE_LEFT,
        },
    ),
)


def array_text(samples: Sequence[Sample]) -> str:
    """Write samples as the text of an array."""
    return "{" + ",".join(f"{at!r},{progress!r}" for at, progress in samples) + "}"


async def record(connection: Connection, updates: Sequence[RunUpdate]) -> dict[UUID, float | None]:
    """Write reports into their runs and extend the leases; returns the seconds left of each, None without an end."""
    return {left.job_id: left.seconds for left in await connection.fetch(RECORD, updates)}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint from which a later attempt continues."""

    project_id: UUID
    job_id: UUID
    checkpoint: Any


UPSERT_CHECKPOINTS = Statement(
    """
    INSERT INTO checkpoints (project_id, job_id, checkpoint)
    SELECT i.project_id, i.job_id, CAST(i.checkpoint AS json)
    FROM :rows
    ON CONFLICT (project_id, job_id) DO UPDATE SET checkpoint = excluded.checkpoint
    """,
    Batch(Checkpoint),
)


async def upsert_checkpoints(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """Store checkpoints, each in place of the one before."""
    await connection.execute(UPSERT_CHECKPOINTS, checkpoints)


@dataclass(frozen=True, slots=True)
class Result:
    """The result and the billing of a completed job."""

    project_id: UUID
    job_id: UUID
    result: Any
    billing: Any


INSERT_RESULTS = Statement(
    """
    INSERT INTO results (project_id, job_id, result, billing)
    SELECT i.project_id, i.job_id, CAST(i.result AS json), CAST(i.billing AS json)
    FROM :rows
    """,
    Batch(Result),
)


async def insert_results(connection: Connection, results: Sequence[Result]) -> None:
    """Write results and billing, once, for jobs that this transaction has just ended."""
    await connection.execute(INSERT_RESULTS, results)
