"""The lifecycle's table turned into SQL, and the one statement that moves jobs from state to state.

Callers lock the jobs first (`lock_in_order`), in a statement of its own: the statements after it then see what is
committed, which a join inside the locking statement would not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Final
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.jobs import ASKED, COLUMNS, KEYS, RUN, job_from_row
from app.db.lookups import lookup, state_among, target_by_key
from app.db.tables import literals
from app.domain.job import CANCEL_GRACE_SECONDS, Job
from app.domain.states import LEASED, TERMINAL, Guard, JobEvent, JobState, rows_for, sources_of

GUARD_SQL = {
    Guard.DUE: "j.scheduled_at <= statement_timestamp()",
    Guard.ITEM_FAILED: "coalesce(r.items_failed, j.items_failed) > 0",
    Guard.MAY_RETRY: "i.retryable AND j.attempt < j.max_attempts",
    Guard.ATTEMPTS_REMAIN: "j.attempt < j.max_attempts",
}

TOKEN_FENCE = "j.token = i.token"  # noqa: S105 - SQL, not a secret
"""Every worker's write is fenced by the token alone: an attempt's number can repeat after a release."""

FENCE_SQL = {
    JobEvent.REPORT: TOKEN_FENCE,
    JobEvent.COMPLETE: TOKEN_FENCE,
    JobEvent.FAIL: TOKEN_FENCE,
    JobEvent.RELEASE: TOKEN_FENCE,
    JobEvent.LEASE_RAN_OUT: "r.lease_ends_at <= statement_timestamp()",
    JobEvent.DEADLINE: "j.expires_at <= statement_timestamp()",
    JobEvent.CANCEL: "true",
}
"""What must hold beside the state, checked where the row is locked and not only where it was found."""


def accepted(event: JobEvent) -> str:
    """Write the WHERE of an event: the fence, and a state from which the lifecycle has a step."""
    return f"{FENCE_SQL[event]} AND {state_among(sources_of(event))}"


def target(event: JobEvent) -> str:
    """Write the state that an event leads to, as a CASE over the rows of the table in their order."""
    arms = (
        f"WHEN j.state IN ({literals(row.sources)})"
        + (f" AND {GUARD_SQL[row.guard]}" if row.guard else "")
        + f" THEN '{row.target}'"
        for row in rows_for(event)
    )
    return f"CASE {' '.join(arms)} END"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One job that an event happens to, with what the event brings along."""

    project_id: UUID
    job_id: UUID
    token: UUID | None = None
    retryable: bool = True
    jitter: float = 0.0
    """A random part of one; drawn by the caller, because volatile functions in writes are refused by Citus."""
    retry_after_seconds: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    cancelled_by: str | None = None
    reason: str | None = None
    """Why, in somebody's own words; told in the history alone."""
    final_call: bytes | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A job that did change its state."""

    project_id: UUID
    job_id: UUID
    source: JobState
    target: JobState
    attempt: int
    worker: str | None
    queue: str
    type: str
    engine: str | None
    scheduled_at: datetime
    now: datetime
    job: Job | None = None
    """The job as it is now, of those whose move gives it."""

    @property
    def claimable_now(self) -> bool:
        """Whether an idle worker could take it at once."""
        return self.target in (JobState.PENDING, JobState.RETRYING) and self.engine is None


_LOCK = f"""
    SELECT j.id FROM {KEYS} JOIN jobs j ON {target_by_key("j", project_id="i.project_id", id="i.job_id")}
    ORDER BY j.id FOR NO KEY UPDATE OF j
"""
LOCK = Statement(_LOCK)


async def lock_in_order(connection: Connection, jobs: Sequence[tuple[UUID, UUID]]) -> None:
    """Lock jobs, given as (project, job), in the order of their ids: overlapping batches would otherwise deadlock."""
    await connection.execute(LOCK, {"project_ids": [p for p, _ in jobs], "job_ids": [j for _, j in jobs]})


LOCK_FREE = Statement(f"{_LOCK} SKIP LOCKED")
PRESENT = Statement(f"SELECT j.project_id, j.id FROM {ASKED}")


async def lock_free(connection: Connection, jobs: Sequence[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Lock those jobs, given as (project, job), that nobody else holds; gives the busy rest. Waits for nobody."""
    locked = await connection.fetch(LOCK_FREE, {"project_ids": [p for p, _ in jobs], "job_ids": [j for _, j in jobs]})
    free = {row.id for row in locked}
    rest = [key for key in jobs if key[1] not in free]
    if not rest:
        return set()
    # What was not locked is busy, or does not exist.
    rows = await connection.fetch(PRESENT, {"project_ids": [p for p, _ in rest], "job_ids": [j for _, j in rest]})
    return {(row.project_id, row.id) for row in rows}


@cache
def _statement(event: JobEvent) -> Statement:
    terminal = f"d.target IN ({literals(TERMINAL)})"
    # A token is spent when its holder gives the job back alive, and stays for a job that ended (a repeated call gets
    # the recorded answer) or whose lease merely ran out (a late call still counts).
    spent = "d.target IN ('pending', 'retrying')" if event in (JobEvent.FAIL, JobEvent.RELEASE) else "false"
    blameless = "d.target IN ('completed', 'completed_with_failures', 'cancelled')"
    attempt = "j.attempt - 1" if event is JobEvent.RELEASE else "j.attempt"
    backoff = """coalesce(d.retry_after_seconds, d.jitter * CASE
            WHEN (j.attempt - 1) * ln(j.retry_factor) > 40 THEN j.retry_max_delay_seconds
            ELSE least(j.retry_max_delay_seconds, j.retry_delay_seconds * power(j.retry_factor, j.attempt - 1)) END)"""
    scheduled = {
        JobEvent.FAIL: f"CASE WHEN d.target = 'retrying' THEN statement_timestamp() + {backoff} * interval '1 second' "
        "ELSE j.scheduled_at END",
        JobEvent.RELEASE: "CASE WHEN d.target = 'pending' THEN statement_timestamp() ELSE j.scheduled_at END",
        JobEvent.LEASE_RAN_OUT: "CASE WHEN d.target = 'retrying' THEN statement_timestamp() ELSE j.scheduled_at END",
    }.get(event, "j.scheduled_at")
    asked = "statement_timestamp()" if event is JobEvent.CANCEL else "j.cancelled_at"
    by = "d.cancelled_by" if event is JobEvent.CANCEL else "j.cancelled_by"
    grace = f"statement_timestamp() + interval '{CANCEL_GRACE_SECONDS} seconds'"
    lease_end = f"coalesce(r.lease_ends_at, {grace})" if event is JobEvent.CANCEL else "r.lease_ends_at"
    # What happened is written into the history by the same statement; a report's own steps are told by its caller.
    word = "'job.' || m.state"
    if event is JobEvent.RELEASE:
        word = f"CASE WHEN m.state = 'pending' THEN 'job.released' ELSE {word} END"
    history = f"""told AS (
            INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
            SELECT m.project_id, m.id, {word}, statement_timestamp(), m.attempt_was, m.held_by, m.source, m.state,
                   CAST(m.told AS json)
            FROM moved m
        ),"""
    if event is JobEvent.REPORT:
        history = ""
    # Its run is gone, so that the row itself is all of a job that has ended.
    whole = f", {COLUMNS}" if event is JobEvent.COMPLETE else ""
    return Statement(f"""
        WITH decided AS MATERIALIZED (
            SELECT i.*, j.state AS source, {target(event)} AS target, r.version AS run_version,
                   j.worker AS held_by, j.attempt AS attempt_was, r.stage, r.progress,
                   r.message, r.items_processed, r.items_failed, r.items_skipped, r.updated_at AS reported_at,
                   greatest(r.items_count, r.declared_total) AS items_total
            FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:tokens AS uuid[]),
                        CAST(:retryable AS boolean[]), CAST(:jitter AS float8[]), CAST(:retry_after AS float8[]),
                        CAST(:error_codes AS text[]), CAST(:error_messages AS text[]), CAST(:cancelled_by AS text[]),
                        CAST(:final_calls AS bytea[]), CAST(:told AS text[]))
                 AS i (project_id, job_id, token, retryable, jitter, retry_after_seconds, error_code, error_message,
                       cancelled_by, final_call, told)
            CROSS JOIN {lookup("jobs", "j", project_id="i.project_id", id="i.job_id")}
            LEFT JOIN {RUN} ON true
            WHERE {accepted(event)}
        ), moved AS (
            UPDATE jobs j SET
                state = d.target,
                version = j.version + 1 + CASE WHEN {terminal} THEN coalesce(d.run_version, 0) ELSE 0 END,
                token = CASE WHEN {spent} THEN NULL ELSE j.token END,
                final_call = CASE WHEN {terminal} THEN d.final_call END,
                attempt = CASE WHEN d.target = 'pending' THEN {attempt} ELSE j.attempt END,
                worker = CASE WHEN {spent} THEN NULL ELSE j.worker END,
                scheduled_at = {scheduled},
                error_code = CASE WHEN {blameless} THEN NULL ELSE coalesce(d.error_code, j.error_code) END,
                error_message = CASE WHEN {blameless} THEN NULL ELSE coalesce(d.error_message, j.error_message) END,
                stage = CASE WHEN {terminal} THEN coalesce(d.stage, j.stage) ELSE j.stage END,
                message = CASE WHEN {terminal} THEN coalesce(d.message, j.message) ELSE j.message END,
                progress = CASE WHEN d.target IN ('completed', 'completed_with_failures') THEN 100
                                WHEN {terminal} THEN coalesce(d.progress, j.progress) ELSE j.progress END,
                items_total = CASE WHEN {terminal} THEN coalesce(d.items_total, j.items_total) ELSE j.items_total END,
                items_processed = CASE WHEN {terminal} THEN coalesce(d.items_processed, 0) ELSE j.items_processed END,
                items_failed = CASE WHEN {terminal} THEN coalesce(d.items_failed, 0) ELSE j.items_failed END,
                items_skipped = CASE WHEN {terminal} THEN coalesce(d.items_skipped, 0) ELSE j.items_skipped END,
                cancelled_at = {asked},
                cancelled_by = {by},
                completed_at = CASE WHEN {terminal} THEN statement_timestamp() END,
                status_changed_at = statement_timestamp(),
                updated_at = statement_timestamp()
            FROM decided d
            WHERE {target_by_key("j", project_id="d.project_id", id="d.job_id")} AND d.target <> d.source
            RETURNING j.*, d.source, d.attempt_was, d.held_by, d.told
        ), {history} ended AS (
            DELETE FROM runs r USING moved d
            WHERE {target_by_key("r", project_id="d.project_id", job_id="d.id")} AND d.state IN ({literals(TERMINAL)})
        ), cleared AS (
            DELETE FROM checkpoints c USING moved d
            WHERE {target_by_key("c", project_id="d.project_id", job_id="d.id")} AND d.state IN ({literals(TERMINAL)})
        ), let_go AS (
            UPDATE runs r SET lease_ends_at = CASE WHEN d.state IN ({literals(LEASED)}) THEN {lease_end} END,
                eta_seconds = NULL, eta_low_seconds = NULL, eta_high_seconds = NULL, samples = '{{}}'
            FROM moved d
            WHERE {target_by_key("r", project_id="d.project_id", job_id="d.id")}
              AND d.state NOT IN ({literals(TERMINAL)})
        )
        SELECT j.project_id, j.id, j.source, j.state, j.attempt_was, j.held_by, j.queue, j.type, j.engine,
               j.scheduled_at, statement_timestamp() AS now{whole} FROM moved j LEFT JOIN runs r ON false
    """)


_MOVED: Final = 11
"""How many columns say of a job that it moved."""


def moved_from_row(row: Row) -> Moved:
    """Build what a statement that moves jobs says of one of them, in its first columns."""
    project_id, job_id, source, target, *rest = row[:_MOVED]
    return Moved(project_id, job_id, JobState(source), JobState(target), *rest)


async def move(connection: Connection, event: JobEvent, moves: Sequence[Move]) -> list[Moved]:
    """Let one event happen to many jobs, each at most once in `moves`; those that refuse it are not in the answer."""
    parameters = {
        "project_ids": [m.project_id for m in moves],
        "job_ids": [m.job_id for m in moves],
        "tokens": [m.token for m in moves],
        "retryable": [m.retryable for m in moves],
        "jitter": [m.jitter for m in moves],
        "retry_after": [m.retry_after_seconds for m in moves],
        "error_codes": [m.error_code for m in moves],
        "error_messages": [m.error_message for m in moves],
        "cancelled_by": [m.cancelled_by for m in moves],
        "final_calls": [m.final_call for m in moves],
        "told": [_told(m) for m in moves],
    }
    rows = await connection.fetch(_statement(event), parameters)
    if event is JobEvent.COMPLETE:
        return [replace(moved_from_row(row), job=job_from_row(row, first=_MOVED)) for row in rows]
    return [moved_from_row(row) for row in rows]


def _told(move: Move) -> str | None:
    reason = move.reason or move.error_code
    return None if reason is None else json.dumps({"reason": reason})
