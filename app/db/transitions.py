"""The one statement that moves jobs from state to state, in two forms (`move_sql`).

Callers of `move` lock the jobs first (`lock_in_order`), in a statement of its own: the statements after it then see
what is committed, which a join inside the locking statement would not. `move_at_once` locks them itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.db.connection import Connection
from app.db.jobs import JOB, JOBS, REQUESTED
from app.db.lookups import target_by_key
from app.db.move_sql import (
    RUN_OF_MOVED,
    always_ends,
    decided_ctes,
    deleted_sql,
    history_sql,
    kept_run_sql,
    may_end,
    moved_sql,
    results_sql,
)
from app.db.parameters import Batch
from app.db.projection import LEFT_OUT, Projection, Value
from app.db.statement import Statement
from app.domain.job import Eta, Job, JobRef
from app.domain.states import JobEvent, JobState


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
    result: Any = None
    billing: Any = None


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


RETURNS_JOB: Final = frozenset({JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.RELEASE, JobEvent.CANCEL})
"""Events whose callers are answered with the job; it need not be read again."""
_NO_ETA: Final = Projection(
    Eta,
    columns=dict.fromkeys(("seconds", "low_seconds", "high_seconds"), "CAST(NULL AS float8)"),
    absent_without="seconds",
)


def _statement(event: JobEvent, *, at_once: bool = False) -> Statement[Sequence[Move], Moved]:
    steps = [
        decided_ctes(event, at_once=at_once),
        f"moved AS ({moved_sql(event)})",
        f"history AS ({history_sql(event)})",
    ]
    if event is JobEvent.COMPLETE:
        steps.append(f"results AS ({results_sql()})")
    if may_end(event):
        steps += [f"ended AS ({deleted_sql('runs')})", f"cleared AS ({deleted_sql('checkpoints')})"]
    if not always_ends(event):
        steps.append(f"kept AS ({kept_run_sql(event)})")
    moved = MOVED.but(attempt="j.attempt_was", worker="j.held_by")
    return Statement(
        f"WITH {', '.join(steps)} SELECT :returned FROM moved j LEFT JOIN {RUN_OF_MOVED} ON true",
        Batch(Move),
        moved.but(job=JOB.but(eta=_NO_ETA)) if event in RETURNS_JOB else moved,
    )


MOVES: Final[dict[JobEvent, Statement[Sequence[Move], Moved]]] = {
    event: _statement(event) for event in JobEvent if event not in (JobEvent.CLAIM, JobEvent.REPORT)
}
"""For jobs that the transaction has locked. A claim finds its jobs itself, and a report is written in `reports`."""
MOVES_AT_ONCE: Final[dict[JobEvent, Statement[Sequence[Move], Moved]]] = {
    event: _statement(event, at_once=True) for event in (JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.RELEASE)
}
"""The same for jobs that nobody has locked yet."""


async def move(connection: Connection, event: JobEvent, changes: Sequence[Move]) -> list[Moved]:
    """Apply one event to many jobs, each at most once in `changes`; those that refuse it are left out of the answer."""
    return await connection.fetch(MOVES[event], changes)


async def move_at_once(connection: Connection, event: JobEvent, changes: Sequence[Move]) -> list[Moved]:
    """Lock many jobs and apply one event to them, in one statement. Those that others hold, that refuse it, or that
    have no run are left out of the answer.
    """
    return await connection.fetch(MOVES_AT_ONCE[event], changes)
