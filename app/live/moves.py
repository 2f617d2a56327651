"""Moving jobs within a transaction: the lifecycle's statement, and the history that belongs to it."""

from collections.abc import Iterable, Sequence

from app.db import events, transitions
from app.db.connection import Connection
from app.db.events import NewEvent
from app.db.transitions import Move, Moved
from app.domain.states import JobEvent, JobState
from app.live.change_feed import Change
from app.live.claimers import Offer

EVENT_TYPES = {
    JobEvent.CLAIM: "job.claimed",
    JobEvent.REPORT: "job.progressed",
}
"""What is told of an event whatever state it leads to; of the others the state tells it."""

WORDS = {JobState.PENDING: "released", JobState.DISPATCHED: "claimed", JobState.RUNNING: "started"}
"""What brought a job into a state, where the state itself is not the word for it."""


def event_type(event: JobEvent, target: JobState) -> str:
    """Name what happened, in the words of section 2 of the design."""
    if event is JobEvent.RELEASE and target is JobState.PENDING:
        return "job.released"
    return EVENT_TYPES.get(event, f"job.{target}")


async def move_jobs(connection: Connection, event: JobEvent, moves: Sequence[Move]) -> list[Moved]:
    """Let one event happen to locked jobs and write it into their history; those that refuse it are left out."""
    moved = await transitions.move(connection, event, moves)
    if moved and event is not JobEvent.REPORT:
        reasons = {move.job_id: move.reason or move.error_code for move in moves}
        await events.insert(connection, [_told(event, one, reasons[one.job_id]) for one in moved])
    return moved


def _told(event: JobEvent, moved: Moved, reason: str | None) -> NewEvent:
    return NewEvent(
        project_id=moved.project_id,
        job_id=moved.job_id,
        type=event_type(event, moved.target),
        attempt=moved.attempt,
        worker=moved.worker,
        source=moved.source,
        target=moved.target,
        data=None if reason is None else {"reason": reason},
    )


async def record_claims(connection: Connection, claimed: Iterable[Moved]) -> None:
    """Write into the history that these jobs were handed out."""
    await events.insert(connection, [_told(JobEvent.CLAIM, moved, None) for moved in claimed])


def changes_of(moved: Iterable[Moved]) -> list[Change]:
    """Say what to announce of jobs that moved: the change, and the work it offers if somebody could take it at once."""
    return [
        Change(
            (one.project_id, one.job_id),
            Offer(one.project_id, one.queue, one.type) if one.claimable_now and one.scheduled_at <= one.now else None,
            (WORDS.get(one.target, one.target),),
        )
        for one in moved
    ]
