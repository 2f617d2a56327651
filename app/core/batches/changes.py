"""Announcements of jobs that moved: the change, and the work that it makes claimable."""

from collections.abc import Iterable

from app.db.transitions import Moved
from app.domain.states import JobState
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob

EVENT_TYPES = {JobState.PENDING: "released", JobState.DISPATCHED: "claimed", JobState.RUNNING: "started"}
"""The event types that are not named after the state they lead to."""


def changes_of(moved_jobs: Iterable[Moved]) -> list[Change]:
    """Return what to announce of jobs that moved: the change, and whether it can be claimed at once."""
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
