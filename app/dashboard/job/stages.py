"""The stages of a job's latest attempt, with the time in each, from its events."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.domain.event import JobEventRecord
from app.domain.job import Job
from app.domain.states import LEASED

MOST_STAGES: Final = 40
"""A job may name its stages as it likes; more than these are shown as the last ones."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage, and the time in it. The one that goes on has a beginning from which its time is counted."""

    name: str
    seconds: float
    begins: datetime | None
    """From when to count, so that it shows the time of earlier visits too; None of a stage that is over."""


class StageClock:
    """Counts the time in each stage of an attempt, event by event; a stage that is left and entered again adds up.

    Of a job with too many events to read for a page it counts none, and `is_partial` says so.
    """

    def __init__(self, events: Iterable[JobEventRecord] = (), *, is_partial: bool = False) -> None:
        self.is_partial = is_partial
        self._seconds: dict[str, float] = {}
        self._now: str | None = None
        self._since: datetime | None = None
        for event in () if is_partial else events:
            self.note(event)

    def note(self, event: JobEventRecord) -> None:
        """Count an event, which comes after all others."""
        if event.type == "job.claimed":
            self._seconds.clear()
            self._now = self._since = None
        elif event.target not in LEASED:
            self._enter(None, event.at)
        elif event.type == "job.progressed":
            self._enter((event.data or {}).get("stage"), event.at)

    def _enter(self, stage: str | None, at: datetime) -> None:
        if stage == self._now:
            return
        if self._now is not None and self._since is not None:
            self._seconds[self._now] += (at - self._since).total_seconds()
        self._now, self._since = stage, at
        if stage is not None:
            self._seconds.setdefault(stage, 0.0)

    def stages(self, job: Job) -> tuple[Stage, ...]:
        """Return the stages in the order in which they were entered; the job may be ahead of its events."""
        seconds, current, since = dict(self._seconds), self._now, self._since
        if job.state in LEASED and job.stage is not None and job.stage != current:
            if current is not None and since is not None:
                seconds[current] += (job.updated_at - since).total_seconds()
            current, since = job.stage, job.updated_at
            seconds.setdefault(current, 0.0)
        elif job.terminal and current is not None and since is not None:
            seconds[current] += ((job.completed_at or job.updated_at) - since).total_seconds()
            current = None
        found = [
            Stage(name, spent, _earlier(since, spent) if name == current else None) for name, spent in seconds.items()
        ]
        return tuple(found[-MOST_STAGES:])


def _earlier(since: datetime | None, spent: float) -> datetime | None:
    return None if since is None else datetime.fromtimestamp(since.timestamp() - spent, since.tzinfo)
