"""What jobs that moved are announced as: the change, and the work that it offers."""

from collections.abc import Iterable

from app.db.transitions import Moved
from app.domain.states import JobState
from app.live.change_feed import Change
from app.live.claimers import Offer

WORDS = {JobState.PENDING: "released", JobState.DISPATCHED: "claimed", JobState.RUNNING: "started"}
"""What brought a job into a state, where the state itself is not the word for it."""


def changes_of(moved: Iterable[Moved]) -> list[Change]:
    """Say what to announce of jobs that moved: the change, and the work it offers if somebody could take it at once."""
    return [
        Change(
            (one.project_id, one.job_id),
            Offer(one.project_id, one.queue, one.type) if one.claimable_now and one.scheduled_at <= one.now else None,
            (WORDS.get(one.target, one.target),),
            one.job,
        )
        for one in moved
    ]
