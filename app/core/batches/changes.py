"""What jobs that moved are announced as: the change, and the work that it offers."""

from collections.abc import Iterable

from app.db.transitions import Moved
from app.domain.states import JobState
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob

EVENT_TYPES = {JobState.PENDING: "released", JobState.DISPATCHED: "claimed", JobState.RUNNING: "started"}
"""What brought a job into a state, where the state itself is not the word for it."""


def changes_of(moved_jobs: Iterable[Moved]) -> list[Change]:
    """Return what to announce of jobs that moved: the change, and the work it offers if it can be claimed at once."""
    return [
        Change(
            moved.ref,
            ClaimableJob(moved.project_id, moved.queue, moved.type)
            if moved.claimable_now and moved.scheduled_at <= moved.now
            else None,
            (EVENT_TYPES.get(moved.target, moved.target),),
            moved.job,
        )
        for moved in moved_jobs
    ]
