"""The lifecycle of a job, as data.

`TRANSITIONS` is the only place where a rule of the lifecycle is written. The guards of the SQL statements, the CHECK
constraints, the documentation, the diagrams and the test matrix are derived from it. To change a rule, change a row.

A row reads: when EVENT happens to a job in one of SOURCES, and GUARD holds, its state becomes TARGET. Of several rows
for one event and source the first whose guard holds applies. A pair of event and source without a row is refused and
changes nothing. A row whose target is its source changes nothing in the job either (a report is recorded in its run).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class JobState(StrEnum):
    """Where a job is in its life. Shown as `status` on the wire."""

    PENDING = "pending"
    """Stored, waiting for a worker (once `scheduled_at` has passed)."""
    DISPATCHED = "dispatched"
    """Handed to a worker or engine that has not reported yet."""
    RUNNING = "running"
    """A worker holds it and has reported."""
    RETRYING = "retrying"
    """An attempt failed or its lease ran out; waiting for `scheduled_at` and a worker."""
    CANCELLING = "cancelling"
    """A cancel was asked for while a worker holds it; it can only end in cancelled."""
    COMPLETED = "completed"
    """Finished."""
    COMPLETED_WITH_FAILURES = "completed_with_failures"
    """Finished, and at least one item failed."""
    FAILED = "failed"
    """Gave up after the last attempt, or the failure was not retryable."""
    CANCELLED = "cancelled"
    """Cancelled before it could finish."""
    EXPIRED = "expired"
    """Its deadline passed, or the lease of its last attempt ran out."""


class JobEvent(StrEnum):
    """What can happen to a job that exists. Rerun is not among them: it makes a new job and leaves the old one."""

    CLAIM = "claim"
    REPORT = "report"
    COMPLETE = "complete"
    FAIL = "fail"
    RELEASE = "release"
    LEASE_RAN_OUT = "lease_ran_out"
    CANCEL = "cancel"
    DEADLINE = "deadline"


class Guard(StrEnum):
    """A condition that a row may ask for beside event and source. `app.db.transitions` knows each one's SQL."""

    DUE = "due"
    """`scheduled_at` has passed."""
    ITEM_FAILED = "item_failed"
    """At least one of the job's items failed."""
    MAY_RETRY = "may_retry"
    """The failure is retryable and attempts remain."""
    ATTEMPTS_REMAIN = "attempts_remain"
    """The job has not used up `max_attempts`."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table; see the module's docstring for how it reads."""

    event: JobEvent
    sources: tuple[JobState, ...]
    guard: Guard | None
    target: JobState


def _table() -> tuple[Transition, ...]:
    """Lay the rules out so that they read as the table of the design."""
    pending, dispatched, running = JobState.PENDING, JobState.DISPATCHED, JobState.RUNNING
    retrying, cancelling, cancelled = JobState.RETRYING, JobState.CANCELLING, JobState.CANCELLED
    held = (dispatched, running)
    # A job is `retrying` with an unspent token only when its lease ran out, because `fail` spends the token. A worker
    # that comes back with that token before another claim took the job is therefore simply right: its call counts.
    held_or_lapsed = (dispatched, running, retrying)
    event = JobEvent
    partly = JobState.COMPLETED_WITH_FAILURES
    rows: tuple[tuple[JobEvent, tuple[JobState, ...], Guard | None, JobState], ...] = (
        # event              from                                        guard                  to
        (event.CLAIM,         (pending, retrying),                        Guard.DUE,             dispatched),
        (event.REPORT,        held_or_lapsed,                             None,                  running),
        (event.REPORT,        (cancelling,),                              None,                  cancelling),
        (event.COMPLETE,      held_or_lapsed,                             Guard.ITEM_FAILED,     partly),
        (event.COMPLETE,      held_or_lapsed,                             None,                  JobState.COMPLETED),
        (event.COMPLETE,      (cancelling,),                              None,                  cancelled),
        (event.FAIL,          held_or_lapsed,                             Guard.MAY_RETRY,       retrying),
        (event.FAIL,          held_or_lapsed,                             None,                  JobState.FAILED),
        (event.FAIL,          (cancelling,),                              None,                  cancelled),
        (event.RELEASE,       held,                                       None,                  pending),
        (event.RELEASE,       (cancelling,),                              None,                  cancelled),
        (event.LEASE_RAN_OUT, held,                                       Guard.ATTEMPTS_REMAIN, retrying),
        (event.LEASE_RAN_OUT, held,                                       None,                  JobState.EXPIRED),
        (event.LEASE_RAN_OUT, (cancelling,),                              None,                  cancelled),
        (event.CANCEL,        (pending, retrying),                        None,                  cancelled),
        (event.CANCEL,        held,                                       None,                  cancelling),
        (event.CANCEL,        (cancelling,),                              None,                  cancelling),
        (event.DEADLINE,      (pending, retrying, dispatched, running),   None,                  JobState.EXPIRED),
        (event.DEADLINE,      (cancelling,),                              None,                  cancelled),
    )  # fmt: skip
    return tuple(Transition(*row) for row in rows)


TRANSITIONS: Final = _table()

TERMINAL: Final = frozenset(JobState) - {source for row in TRANSITIONS for source in row.sources}
"""States that no row leaves."""

LIVE: Final = frozenset(JobState) - TERMINAL

CLAIMABLE: Final = frozenset(s for row in TRANSITIONS if row.event is JobEvent.CLAIM for s in row.sources)
"""States in which a job waits for a worker."""

LEASED: Final = frozenset(s for row in TRANSITIONS if row.event is JobEvent.LEASE_RAN_OUT for s in row.sources)
"""States in which a worker holds the job."""

RERUNNABLE: Final = TERMINAL
"""States from which a rerun is accepted."""


def rows_for(event: JobEvent) -> tuple[Transition, ...]:
    """Give the rows of one event, in the order in which their guards are tried."""
    return tuple(row for row in TRANSITIONS if row.event is event)


def sources_of(event: JobEvent) -> frozenset[JobState]:
    """Give the states in which an event is accepted."""
    return frozenset(source for row in rows_for(event) for source in row.sources)


def next_state(event: JobEvent, state: JobState, holding: Collection[Guard] = ()) -> JobState | None:
    """Say where `event` takes a job in `state` when the guards in `holding` hold; None if it is refused.

    The database decides this in SQL built from the same rows; this twin serves the documentation and the tests.
    """
    for row in rows_for(event):
        if state in row.sources and (row.guard is None or row.guard in holding):
            return row.target
    return None
