"""What workers report: the fence that admits a report, and the writes to the narrow row of its run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from app.db.connection import Connection, Statement
from app.db.jobs import RUN
from app.db.lookups import lookup, target_by_key
from app.db.transitions import accepted, target
from app.domain.estimate import Sample
from app.domain.item import Counts
from app.domain.job import Eta
from app.domain.states import JobEvent, JobState
from app.domain.worker_call import Complete, LogLine, Report


@dataclass(frozen=True, slots=True)
class Admitted:
    """A report whose token and state were right, with the run as it stands. Valid while the job's lock is held."""

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


ADMIT = Statement(f"""
    SELECT j.project_id, j.id, j.state AS source, {target(JobEvent.REPORT)} AS target, j.attempt, j.worker,
           r.lease_seconds, r.stage, r.progress, r.declared_total, r.items_count, r.items_processed, r.items_failed,
           r.items_skipped, r.samples, r.log_lines,
           CAST(extract(epoch FROM statement_timestamp()) AS float8) AS now
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:tokens AS uuid[]))
         AS i (project_id, job_id, token)
    CROSS JOIN {lookup("jobs", "j", project_id="i.project_id", id="i.job_id")} CROSS JOIN {RUN}
    WHERE {accepted(JobEvent.REPORT)}
""")


async def admit(connection: Connection, reports: Sequence[Report]) -> dict[UUID, Admitted]:
    """Let the reports through whose job is locked, held under their token and live; the rest are not in the answer."""
    rows = await connection.fetch(
        ADMIT,
        {
            "project_ids": [report.project_id for report in reports],
            "job_ids": [report.job_id for report in reports],
            "tokens": [report.token for report in reports],
        },
    )
    return {
        row.id: Admitted(
            source=JobState(row.source),
            target=JobState(row.target),
            attempt=row.attempt,
            worker=row.worker,
            lease_seconds=row.lease_seconds,
            stage=row.stage,
            progress=row.progress,
            declared_total=row.declared_total,
            items_count=row.items_count,
            counts=Counts(
                max(row.items_count, row.declared_total or 0), row.items_processed, row.items_failed, row.items_skipped
            ),
            samples=tuple(zip(row.samples[::2], row.samples[1::2], strict=True)),
            log_lines=row.log_lines,
            now=row.now,
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """The run after a report. Of a bare heartbeat only the lease is written."""

    project_id: UUID
    job_id: UUID
    token: UUID
    lease_seconds: int | None
    bare: bool
    stage: str | None
    progress: float
    message: str | None
    declared_total: int | None
    items_count: int
    counts: Counts
    eta: Eta | None
    samples: Sequence[Sample]
    log_lines: int


# The lease of a job that is being cancelled is not extended: its worker has until then to acknowledge.
RECORD = Statement(f"""
    WITH held AS MATERIALIZED (
        SELECT i.*, j.state
        FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:tokens AS uuid[]),
                    CAST(:lease_seconds AS integer[]), CAST(:bare AS boolean[]), CAST(:stages AS text[]),
                    CAST(:progress AS float8[]), CAST(:messages AS text[]), CAST(:declared_totals AS bigint[]),
                    CAST(:items_counts AS bigint[]), CAST(:processed AS bigint[]), CAST(:failed AS bigint[]),
                    CAST(:skipped AS bigint[]), CAST(:etas AS float8[]), CAST(:eta_lows AS float8[]),
                    CAST(:eta_highs AS float8[]), CAST(:samples AS text[]), CAST(:log_lines AS bigint[]))
             AS i (project_id, job_id, token, lease_seconds, bare, stage, progress, message, declared_total,
                   items_count, items_processed, items_failed, items_skipped, eta, eta_low, eta_high, samples,
                   log_lines)
        CROSS JOIN {lookup("jobs", "j", project_id="i.project_id", id="i.job_id")}
        WHERE j.token = i.token
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
        items_processed = CASE WHEN i.bare THEN r.items_processed ELSE i.items_processed END,
        items_failed = CASE WHEN i.bare THEN r.items_failed ELSE i.items_failed END,
        items_skipped = CASE WHEN i.bare THEN r.items_skipped ELSE i.items_skipped END,
        eta_seconds = CASE WHEN i.bare THEN r.eta_seconds ELSE i.eta END,
        eta_low_seconds = CASE WHEN i.bare THEN r.eta_low_seconds ELSE i.eta_low END,
        eta_high_seconds = CASE WHEN i.bare THEN r.eta_high_seconds ELSE i.eta_high END,
        samples = CASE WHEN i.bare THEN r.samples ELSE CAST(i.samples AS float8[]) END,
        log_lines = CASE WHEN i.bare THEN r.log_lines ELSE i.log_lines END
    FROM held i WHERE {target_by_key("r", project_id="i.project_id", job_id="i.job_id")}
    RETURNING r.job_id, CAST(extract(epoch FROM r.lease_ends_at - statement_timestamp()) AS float8) AS left_seconds
""")


def _array(samples: Sequence[Sample]) -> str:
    """Write samples as an array literal: unnest would flatten an array of arrays into one."""
    return "{" + ",".join(f"{at!r},{progress!r}" for at, progress in samples) + "}"


async def record(connection: Connection, updates: Sequence[RunUpdate]) -> dict[UUID, float | None]:
    """Write reports into their runs and extend the leases; gives the seconds left of each, None without an end."""
    etas = [update.eta for update in updates]
    rows = await connection.fetch(
        RECORD,
        {
            "project_ids": [u.project_id for u in updates],
            "job_ids": [u.job_id for u in updates],
            "tokens": [u.token for u in updates],
            "lease_seconds": [u.lease_seconds for u in updates],
            "bare": [u.bare for u in updates],
            "stages": [u.stage for u in updates],
            "progress": [u.progress for u in updates],
            "messages": [u.message for u in updates],
            "declared_totals": [u.declared_total for u in updates],
            "items_counts": [u.items_count for u in updates],
            "processed": [u.counts.processed for u in updates],
            "failed": [u.counts.failed for u in updates],
            "skipped": [u.counts.skipped for u in updates],
            "etas": [eta.seconds if eta else None for eta in etas],
            "eta_lows": [eta.low_seconds if eta else None for eta in etas],
            "eta_highs": [eta.high_seconds if eta else None for eta in etas],
            "samples": [_array(u.samples) for u in updates],
            "log_lines": [u.log_lines for u in updates],
        },
    )
    return {row.job_id: row.left_seconds for row in rows}


INSERT_LOGS = Statement("""
    INSERT INTO job_logs (project_id, job_id, line, at, attempt, level, message)
    SELECT i.project_id, i.job_id, i.line, statement_timestamp(), i.attempt, i.level, i.message
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:lines AS bigint[]),
                CAST(:attempts AS integer[]), CAST(:levels AS text[]), CAST(:messages AS text[]))
         AS i (project_id, job_id, line, attempt, level, message)
""")

NumberedLine: TypeAlias = tuple[UUID, UUID, int, int, LogLine]
"""Project, job, line number, attempt, and the line."""


async def insert_logs(connection: Connection, lines: Sequence[NumberedLine]) -> None:
    """Append log lines; their numbers were drawn from the run under its job's lock."""
    await connection.execute(
        INSERT_LOGS,
        {
            "project_ids": [line[0] for line in lines],
            "job_ids": [line[1] for line in lines],
            "lines": [line[2] for line in lines],
            "attempts": [line[3] for line in lines],
            "levels": [line[4].level for line in lines],
            "messages": [line[4].message for line in lines],
        },
    )


UPSERT_CHECKPOINTS = Statement("""
    INSERT INTO checkpoints (project_id, job_id, checkpoint)
    SELECT i.project_id, i.job_id, CAST(i.checkpoint AS json)
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:checkpoints AS text[]))
         AS i (project_id, job_id, checkpoint)
    ON CONFLICT (project_id, job_id) DO UPDATE SET checkpoint = excluded.checkpoint
""")


async def upsert_checkpoints(connection: Connection, reports: Sequence[Report]) -> None:
    """Keep what a later attempt is to continue from."""
    await connection.execute(
        UPSERT_CHECKPOINTS,
        {
            "project_ids": [report.project_id for report in reports],
            "job_ids": [report.job_id for report in reports],
            "checkpoints": [json.dumps(report.checkpoint) for report in reports],
        },
    )


INSERT_RESULTS = Statement("""
    INSERT INTO results (project_id, job_id, result, billing)
    SELECT i.project_id, i.job_id, CAST(i.result AS json), CAST(i.billing AS json)
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:results AS text[]),
                CAST(:billings AS text[])) AS i (project_id, job_id, result, billing)
""")


def _dump(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


async def insert_results(connection: Connection, completions: Sequence[Complete]) -> None:
    """Write results and billing, once, for jobs that this transaction has just ended."""
    await connection.execute(
        INSERT_RESULTS,
        {
            "project_ids": [completion.project_id for completion in completions],
            "job_ids": [completion.job_id for completion in completions],
            "results": [_dump(completion.result) for completion in completions],
            "billings": [_dump(completion.billing) for completion in completions],
        },
    )
