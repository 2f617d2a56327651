"""The one statement that moves jobs from state to state.

Callers lock the jobs first (`lock_in_order`), in a statement of its own: the statements after it then see what is
committed, which a join inside the locking statement would not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from app.db.connection import Connection
from app.db.jobs import JOB, JOBS, REQUESTED, RUN
from app.db.lifecycle_sql import accepted, by_effect, changes, target
from app.db.lookups import target_by_key
from app.db.parameters import Batch
from app.db.projection import LEFT_OUT, Projection, Value
from app.db.statement import Statement, literals
from app.domain.job import CANCEL_GRACE_SECONDS, Eta, Job, JobRef
from app.domain.states import LEASED, TERMINAL, Due, Effects, JobEvent, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One job that an event happens to, with the values of the event."""

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
    """The reason given by the caller; recorded in the events alone."""
    final_call: bytes | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """A job that changed its state."""

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
    """The job as it is now, of those whose move returns it."""

    @property
    def ref(self) -> JobRef:
        """The job and its project."""
        return JobRef(self.project_id, self.job_id)

    @property
    def claimable_now(self) -> bool:
        """Whether an idle worker could take it at once."""
        return self.target in (JobState.PENDING, JobState.RETRYING) and self.engine is None


MOVED: Final = Projection(
    Moved,
    JOBS,
    {
        "job_id": JOBS.c.id,
        "source": "j.source",
        "target": JOBS.c.state,
        "now": "statement_timestamp()",
        "job": LEFT_OUT,
    },
)
"""What a statement that moves jobs returns of each; `j` is the moved row, with the state it had as `source`."""

_LOCK: Final = f"""
    SELECT :returned FROM :rows JOIN jobs j ON {target_by_key("j", project_id="i.project_id", id="i.job_id")}
    ORDER BY j.id FOR NO KEY UPDATE OF j
"""
LOCK = Statement(_LOCK, Batch(JobRef), Value(UUID, JOBS.c.id))


async def lock_in_order(connection: Connection, jobs: Sequence[JobRef]) -> None:
    """Lock jobs in the order of their ids: overlapping batches would otherwise deadlock."""
    await connection.execute(LOCK, jobs)


LOCK_FREE = Statement(f"{_LOCK} SKIP LOCKED", Batch(JobRef), Value(UUID, JOBS.c.id))
PRESENT = Statement(
    f"SELECT :returned FROM {REQUESTED}", Batch(JobRef), Projection(JobRef, JOBS, {"job_id": JOBS.c.id})
)


async def lock_free(connection: Connection, jobs: Sequence[JobRef]) -> set[JobRef]:
    """Lock those of the jobs that are not locked by others; returns the busy rest. Never waits."""
    free = set(await connection.fetch(LOCK_FREE, jobs))
    rest = [key for key in jobs if key.job_id not in free]
    # A job that was not locked is busy, or does not exist.
    return set(await connection.fetch(PRESENT, rest)) if rest else set()


_TERMINAL: Final = f"d.target IN ({literals(TERMINAL)})"
_BACKOFF: Final = """coalesce(d.retry_after_seconds, d.jitter * CASE
    WHEN (j.attempt - 1) * ln(j.retry_factor) > 40 THEN j.retry_max_delay_seconds
    ELSE least(j.retry_max_delay_seconds, j.retry_delay_seconds * power(j.retry_factor, j.attempt - 1)) END)"""
_DUE_SQL: Final = {
    Due.NOW: "statement_timestamp()",
    Due.AFTER_BACKOFF: f"statement_timestamp() + {_BACKOFF} * interval '1 second'",
}
_GRACE: Final = f"coalesce(r.lease_ends_at, statement_timestamp() + interval '{CANCEL_GRACE_SECONDS} seconds')"


def _decided_sql(event: JobEvent) -> str:
    return f"""
        SELECT i.*, j.state AS source, {target(event)} AS target, r.version AS run_version,
               j.worker AS held_by, j.attempt AS attempt_was, r.stage, r.progress,
               r.message, r.items_processed, r.items_failed, r.items_skipped, r.updated_at AS reported_at,
               greatest(r.items_count, r.declared_total) AS items_total
        FROM {REQUESTED} LEFT JOIN {RUN} ON true
        WHERE {accepted(event)}
    """


def _moved_sql(event: JobEvent) -> str:
    def when(effect: str, then: str, otherwise: str) -> str:
        return by_effect(event, lambda effects: then if getattr(effects, effect) else None, otherwise)

    kept_progress = f"CASE WHEN {_TERMINAL} THEN coalesce(d.progress, j.progress) ELSE j.progress END"

    def due(effects: Effects) -> str | None:
        return None if effects.due is None else _DUE_SQL[effects.due]

    return f"""
        UPDATE jobs j SET
            state = d.target,
            version = j.version + 1 + CASE WHEN {_TERMINAL} THEN coalesce(d.run_version, 0) ELSE 0 END,
            token = {when("spends_token", "NULL", "j.token")},
            worker = {when("spends_token", "NULL", "j.worker")},
            final_call = CASE WHEN {_TERMINAL} THEN d.final_call END,
            attempt = {when("returns_attempt", "j.attempt - 1", "j.attempt")},
            scheduled_at = {by_effect(event, due, "j.scheduled_at")},
            error_code = {when("clears_error", "NULL", "coalesce(d.error_code, j.error_code)")},
            error_message = {when("clears_error", "NULL", "coalesce(d.error_message, j.error_message)")},
            stage = CASE WHEN {_TERMINAL} THEN coalesce(d.stage, j.stage) ELSE j.stage END,
            message = CASE WHEN {_TERMINAL} THEN coalesce(d.message, j.message) ELSE j.message END,
            progress = {when("finishes", "100", kept_progress)},
            items_total = CASE WHEN {_TERMINAL} THEN coalesce(d.items_total, j.items_total) ELSE j.items_total END,
            items_processed = CASE WHEN {_TERMINAL} THEN coalesce(d.items_processed, 0) ELSE j.items_processed END,
            items_failed = CASE WHEN {_TERMINAL} THEN coalesce(d.items_failed, 0) ELSE j.items_failed END,
            items_skipped = CASE WHEN {_TERMINAL} THEN coalesce(d.items_skipped, 0) ELSE j.items_skipped END,
            cancelled_at = {when("stamps_cancel", "statement_timestamp()", "j.cancelled_at")},
            cancelled_by = {when("stamps_cancel", "d.cancelled_by", "j.cancelled_by")},
            completed_at = CASE WHEN {_TERMINAL} THEN statement_timestamp() END,
            status_changed_at = statement_timestamp(),
            updated_at = statement_timestamp()
        FROM decided d
        WHERE {target_by_key("j", project_id="d.project_id", id="d.job_id")} AND ({changes(event)})
        RETURNING j.*, d.source, d.attempt_was, d.held_by, coalesce(d.reason, d.error_code) AS reason
    """


def _history_sql(event: JobEvent) -> str:
    """What happened is recorded by the same statement; a report's own steps are recorded by its caller."""
    recorded = by_effect(
        event,
        lambda effects: effects.recorded_as and f"'job.{effects.recorded_as}'",
        "'job.' || m.state",
        state="m.state",
    )
    return f"""
        INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
        SELECT m.project_id, m.id, {recorded}, statement_timestamp(), m.attempt_was, m.held_by, m.source, m.state,
               CASE WHEN m.reason IS NOT NULL THEN json_build_object('reason', m.reason) END
        FROM moved m
    """


def _kept_run_sql(event: JobEvent) -> str:
    lease_end = by_effect(
        event, lambda effects: _GRACE if effects.grants_grace else None, "r.lease_ends_at", state="d.state"
    )
    return f"""
        UPDATE runs r SET lease_ends_at = CASE WHEN d.state IN ({literals(LEASED)}) THEN {lease_end} END,
            eta_seconds = NULL, eta_low_seconds = NULL, eta_high_seconds = NULL, samples = '{{}}'
        FROM moved d
        WHERE {target_by_key("r", project_id="d.project_id", job_id="d.id")} AND d.state NOT IN ({literals(TERMINAL)})
    """


def _deleted_sql(table: str) -> str:
    return f"""
        DELETE FROM {table} t USING moved d
        WHERE {target_by_key("t", project_id="d.project_id", job_id="d.id")} AND d.state IN ({literals(TERMINAL)})
    """


RETURNS_JOB: Final = frozenset({JobEvent.COMPLETE, JobEvent.CANCEL})
"""Events whose callers are answered with the job; it need not be read again."""
_NO_ETA: Final = Projection(
    Eta,
    columns=dict.fromkeys(("seconds", "low_seconds", "high_seconds"), "CAST(NULL AS float8)"),
    absent_without="seconds",
)


def _statement(event: JobEvent) -> Statement[Sequence[Move], Moved]:
    history = "" if event is JobEvent.REPORT else f"history AS ({_history_sql(event)}),"
    moved = MOVED.but(attempt="j.attempt_was", worker="j.held_by")
    # The run of a job that has ended is gone, and its row says all. That of another stands as it was before this
    # statement, which changes nothing of it that a reader sees but the estimate.
    return Statement(
        f"""
        WITH decided AS MATERIALIZED ({_decided_sql(event)}), moved AS ({_moved_sql(event)}), {history}
        ended AS ({_deleted_sql("runs")}), cleared AS ({_deleted_sql("checkpoints")}),
        kept AS ({_kept_run_sql(event)})
        SELECT :returned FROM moved j LEFT JOIN {RUN} ON j.state NOT IN ({literals(TERMINAL)})
        """,
        Batch(Move),
        moved.but(job=JOB.but(eta=_NO_ETA)) if event in RETURNS_JOB else moved,
    )


MOVES: Final[dict[JobEvent, Statement[Sequence[Move], Moved]]] = {
    event: _statement(event) for event in JobEvent if event is not JobEvent.CLAIM
}


async def move(connection: Connection, event: JobEvent, changes: Sequence[Move]) -> list[Moved]:
    """Apply one event to many jobs, each at most once in `changes`; those that refuse it are left out of the answer."""
    return await connection.fetch(MOVES[event], changes)
