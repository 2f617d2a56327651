"""The lifecycle of a job, as data.

`TRANSITIONS` is the only place where a rule of the lifecycle is written. The guards of the SQL statements, the CHECK
constraints, the documentation, the diagrams and the test matrix are derived from it. To change a rule, change a row.

A row reads: when EVENT happens to a job in one of SOURCES, and GUARD holds, its state becomes TARGET, with EFFECTS. Of
several rows for one event and source the first whose guard holds applies. A pair of event and source without a row is
refused and changes nothing. A step to the state that the job is in changes nothing in the job either (a report is
recorded in its run), unless it has effects (a failure that comes late spends its token).
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
    """What can happen to a job that exists. Rerun is not among them: it creates a new job and leaves the old one."""

    CLAIM = "claim"
    REPORT = "report"
    COMPLETE = "complete"
    FAIL = "fail"
    RELEASE = "release"
    LEASE_RAN_OUT = "lease_ran_out"
    CANCEL = "cancel"
    DEADLINE = "deadline"


class Guard(StrEnum):
    """A condition that a row may have beside event and source. `app.db.lifecycle_sql` has the SQL of each."""

    DUE = "due"
    """`scheduled_at` has passed."""
    ITEM_FAILED = "item_failed"
    """At least one of the job's items failed."""
    MAY_RETRY = "may_retry"
    """The failure is retryable and attempts remain."""
    ATTEMPTS_REMAIN = "attempts_remain"
    """The job has not used up `max_attempts`."""


class Due(StrEnum):
    """When a job that goes back to waiting may be claimed again."""

    NOW = "now"
    AFTER_BACKOFF = "after_backoff"
    """After what the worker asked for, else after a random part of the back-off of its `retry`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What a transition does beside changing the state. What every terminal target does is not repeated in each row:
    the run ends, its last words move into the job, `completed_at` is set.
    """

    spends_token: bool = False
    """The lease token and the worker's name are cleared: no later call under that token counts."""
    returns_attempt: bool = False
    """The attempt is not counted."""
    due: Due | None = None
    """Sets `scheduled_at`."""
    stamps_cancel: bool = False
    """Sets `cancelled_at` and `cancelled_by`."""
    grants_grace: bool = False
    """A lease without an end gets one, so that the worker's acknowledgement is not waited for for ever."""
    clears_error: bool = False
    """The error of an earlier attempt is no longer the job's; elsewhere the event's error, if any, becomes it."""
    finishes: bool = False
    """Progress becomes 100."""
    recorded_as: str | None = None
    """The word of the history, where it is not the name of the target."""


NO_EFFECTS: Final = Effects()


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table; see the module's docstring for how it reads."""

    event: JobEvent
    sources: tuple[JobState, ...]
    guard: Guard | None
    target: JobState
    effects: Effects = NO_EFFECTS


def _table() -> tuple[Transition, ...]:
    """Lay the rules out so that they read as a table."""
    pending, dispatched, running = JobState.PENDING, JobState.DISPATCHED, JobState.RUNNING
    retrying, cancelling, cancelled = JobState.RETRYING, JobState.CANCELLING, JobState.CANCELLED
    completed, partly, failed = JobState.COMPLETED, JobState.COMPLETED_WITH_FAILURES, JobState.FAILED
    expired = JobState.EXPIRED
    waiting = (pending, retrying)
    held = (dispatched, running)
    # A job is `retrying` with an unspent token only when its lease ran out, because `fail` spends the token. A worker
    # that comes back with that token before another claim took the job is therefore simply right: its call counts.
    # Where its queue has a limit, a report needs a free place besides, as a claim does (`core.batches.places`).
    held_or_lapsed = (dispatched, running, retrying)
    finished = Effects(clears_error=True, finishes=True)
    ended = Effects(clears_error=True)
    stopped = Effects(clears_error=True, stamps_cancel=True)
    requested = Effects(stamps_cancel=True, grants_grace=True)
    resting = Effects(spends_token=True, due=Due.AFTER_BACKOFF)
    returned = Effects(spends_token=True, returns_attempt=True, due=Due.NOW, recorded_as="released")
    rescued = Effects(due=Due.NOW)
    none = NO_EFFECTS
    event = JobEvent
    rows: tuple[tuple[JobEvent, tuple[JobState, ...], Guard | None, JobState, Effects], ...] = (
        # event              from             guard                  to          effects
        (event.CLAIM,         waiting,         Guard.DUE,             dispatched, none),
        (event.REPORT,        held_or_lapsed,  None,                  running,    none),
        (event.REPORT,        (cancelling,),   None,                  cancelling, none),
        (event.COMPLETE,      held_or_lapsed,  Guard.ITEM_FAILED,     partly,     finished),
        (event.COMPLETE,      held_or_lapsed,  None,                  completed,  finished),
        (event.COMPLETE,      (cancelling,),   None,                  cancelled,  ended),
        (event.FAIL,          held_or_lapsed,  Guard.MAY_RETRY,       retrying,   resting),
        (event.FAIL,          held_or_lapsed,  None,                  failed,     none),
        (event.FAIL,          (cancelling,),   None,                  cancelled,  ended),
        (event.RELEASE,       held,            None,                  pending,    returned),
        (event.RELEASE,       (cancelling,),   None,                  cancelled,  ended),
        (event.LEASE_RAN_OUT, held,            Guard.ATTEMPTS_REMAIN, retrying,   rescued),
        (event.LEASE_RAN_OUT, held,            None,                  expired,    none),
        (event.LEASE_RAN_OUT, (cancelling,),   None,                  cancelled,  ended),
        (event.CANCEL,        waiting,         None,                  cancelled,  stopped),
        (event.CANCEL,        held,            None,                  cancelling, requested),
        (event.CANCEL,        (cancelling,),   None,                  cancelling, none),
        (event.DEADLINE,      waiting + held,  None,                  expired,    none),
        (event.DEADLINE,      (cancelling,),   None,                  cancelled,  ended),
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

GAVE_UP: Final = frozenset({JobState.FAILED, JobState.EXPIRED})
"""Ends that somebody may still want to look into: their jobs are kept for a time of their own."""

RERUNNABLE: Final = TERMINAL
"""States from which a rerun is accepted."""


def rows_for(event: JobEvent) -> tuple[Transition, ...]:
    """Return the rows of one event, in the order in which their guards are tried."""
    return tuple(row for row in TRANSITIONS if row.event is event)


def sources_of(event: JobEvent) -> frozenset[JobState]:
    """Return the states in which an event is accepted."""
    return frozenset(source for row in rows_for(event) for source in row.sources)


def next_state(event: JobEvent, state: JobState, holding: Collection[Guard] = ()) -> JobState | None:
    """Return the state that `event` leads to from `state` when the guards in `holding` hold; None if it is refused.

    The database decides this in SQL built from the same rows; this twin serves the documentation and the tests.
    """
    for row in rows_for(event):
        if state in row.sources and (row.guard is None or row.guard in holding):
            return row.target
    return None
