"""What workers report: the fence that admits a report, and the writes to the narrow row of its run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.jobs import LEASE_LEFT, REQUESTED, RUN
from app.db.lifecycle_sql import accepted, target
from app.db.lookups import state_among, target_by_key
from app.db.move_sql import LOCKED_JOBS, moved_sql
from app.db.parameters import Batch, Int4
from app.db.projection import Projection, reading
from app.db.statement import Statement
from app.domain.estimate import Sample
from app.domain.item import Counts
from app.domain.job import Eta
from app.domain.states import LEASED, JobEvent, JobState


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A job and the token under which its worker reports."""

    project_id: UUID
    job_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Admitted:
    """A report whose token and state were right, with the run as it stands: valid while the job's lock is held, or
    until the run has another version.
    """

    job_id: UUID
    queue: str
    source: JobState
    target: JobState
    attempt: int
    worker: str | None
    version: int
    """Of the run."""
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


T = TypeVar("T", bound="Heartbeat")
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
    """Read the runs of those jobs that are held under their token and live, by job; the rest are left out."""
    return {admitted.job_id: admitted for admitted in await connection.fetch(ADMIT, held)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A lease that goes on; `lease_seconds` is its new length, None the one it has."""

    project_id: UUID
    job_id: UUID
    token: UUID
    lease_seconds: Int4 | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate(Heartbeat):
    """The run after a report, worked out from its version `seen_version`: of another version nothing is written."""

    seen_version: int
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
    progressed: bool
    """Whether it is worth an event though the state stays as it is."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A report that was written: the step that its job made, and the seconds left of its lease, if that has an end."""

    job_id: UUID
    source: JobState
    target: JobState
    lease_left: float | None


_LEASE: Final = {
    "lease_seconds": "coalesce(d.lease_seconds, r.lease_seconds)",
    # The lease of a job that is being cancelled is not extended: its worker has until then to acknowledge.
    "lease_ends_at": """CASE WHEN d.source = 'cancelling' THEN r.lease_ends_at ELSE
        statement_timestamp() + coalesce(d.lease_seconds, r.lease_seconds) * interval '1 second' END""",
}
_RUN_AFTER: Final = {
    **{name: f"d.{name}" for name in ("stage", "progress", "declared_total", "items_count", "log_lines")},
    **{f"items_{name}": f"d.counts_{name}" for name in ("processed", "failed", "skipped")},
    **{f"eta_{name}": f"d.eta_{name}" for name in ("seconds", "low_seconds", "high_seconds")},
    "version": "r.version + 1",
    "updated_at": "statement_timestamp()",
    "message": "coalesce(d.message, r.message)",
    "samples": "CAST(d.samples AS float8[])",
}


def _recording(row_type: type[T], assigned: dict[str, str], *, at_once: bool) -> Statement[Sequence[T], Recorded]:
    """Declare the statement that extends leases, writes runs, starts jobs that were only handed out, and records it.

    In two forms, as a move is (`move_sql`). At once only for jobs under a lease: where one ran out, another job may
    have its place by now, which is counted under the lock of the queue. A run that has changed since it was read
    changes nothing of its job either: jobs move as far as their runs were written.
    """
    is_update = issubclass(row_type, RunUpdate)
    condition = accepted(JobEvent.REPORT)
    held = LOCKED_JOBS % f"{condition} AND {state_among(LEASED)}" if at_once else f"FROM {REQUESTED} WHERE {condition}"
    return Statement(
        f"""
        WITH held AS MATERIALIZED (
            SELECT i.*, j.state AS source, {target(JobEvent.REPORT)} AS target, j.attempt, j.worker {held}
        ), decided AS (
            UPDATE runs r SET {", ".join(f"{column} = {sql}" for column, sql in (_LEASE | assigned).items())}
            FROM held d WHERE {target_by_key("r", project_id="d.project_id", job_id="d.job_id")}
            {"AND r.version = d.seen_version" if is_update else ""}
            RETURNING r.project_id, r.job_id, r.stage, r.progress, r.lease_ends_at, d.source, d.target, d.attempt,
                      d.worker, {"d.progressed" if is_update else "false"} AS progressed,
                      CAST(NULL AS text) AS error_code, CAST(NULL AS text) AS error_message
        ), moved AS ({moved_sql(JobEvent.REPORT, returning="j.id")}), history AS (
            INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
            SELECT d.project_id, d.job_id, 'job.progressed', statement_timestamp(), d.attempt, d.worker, d.source,
                   d.target, json_build_object('stage', d.stage, 'progress', d.progress)
            FROM decided d WHERE d.progressed OR d.target <> d.source
        )
        SELECT :returned FROM decided r
        """,
        Batch(row_type),
        Projection(Recorded, "r", {"lease_left": LEASE_LEFT}),
    )


HEARTBEAT: Final = _recording(Heartbeat, {}, at_once=False)
HEARTBEAT_AT_ONCE: Final = _recording(Heartbeat, {}, at_once=True)
RECORD: Final = _recording(RunUpdate, _RUN_AFTER, at_once=False)
RECORD_AT_ONCE: Final = _recording(RunUpdate, _RUN_AFTER, at_once=True)


async def extend(connection: Connection, heartbeats: Sequence[Heartbeat]) -> list[Recorded]:
    """Extend leases of jobs that are locked; what the fence refuses is left out of the answer."""
    return await connection.fetch(HEARTBEAT, heartbeats)


async def extend_at_once(connection: Connection, heartbeats: Sequence[Heartbeat]) -> list[Recorded]:
    """Lock jobs and extend their leases, in one statement. What others hold, what the fence refuses, and a job whose
    lease ran out, is left out of the answer.
    """
    return await connection.fetch(HEARTBEAT_AT_ONCE, heartbeats)


async def record(connection: Connection, updates: Sequence[RunUpdate]) -> list[Recorded]:
    """Write reports into the runs of jobs that are locked; what the fence refuses is left out of the answer."""
    return await connection.fetch(RECORD, updates)


async def record_at_once(connection: Connection, updates: Sequence[RunUpdate]) -> list[Recorded]:
    """Lock jobs and write reports into their runs, in one statement. What others hold, what the fence refuses, a job
    whose lease ran out, and what was worked out from a run that has changed since, is left out of the answer.
    """
    return await connection.fetch(RECORD_AT_ONCE, updates)


def array_text(samples: Sequence[Sample]) -> str:
    """Write samples as the text of an array."""
    return "{" + ",".join(f"{at!r},{progress!r}" for at, progress in samples) + "}"
