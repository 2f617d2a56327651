"""Workers' calls, applied many at a time: reports, completions, failures and releases in one transaction.

All jobs of the batch are locked first, but for those that another transaction holds: their calls are deferred, as are
those from a report on that finds its queue locked. Then the calls apply in rounds: the first call of every job, then
the second of those that have one, and so on, each kind in one set-based statement whose WHERE is the fence. A call that
the fence refused is explained afterwards, by one more read.
"""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final
from uuid import UUID

from app.core.batches.changes import changes_of
from app.core.batches.idempotency import store
from app.core.batches.repeats import find_repeats, find_replays, repeat_outcome
from app.core.batches.reports import apply_reports
from app.db import jobs, transitions
from app.db.connection import Connection
from app.db.jobs import Fence
from app.db.transitions import Move
from app.domain.errors import (
    AlreadyTerminalError,
    InvalidTransitionError,
    JobtrackError,
    LeaseLostError,
    NotFoundError,
)
from app.domain.job import Job
from app.domain.states import LEASED, TERMINAL, JobEvent, sources_of
from app.domain.worker_call import Complete, Ended, Fail, Release, Report, Reported, WorkerCall, WorkerOutcome
from app.live.change_feed import Change
from app.live.outcomes import Applied, Deferred, Outcome

EVENT_OF: dict[type[WorkerCall], JobEvent] = {
    Complete: JobEvent.COMPLETE,
    Fail: JobEvent.FAIL,
    Release: JobEvent.RELEASE,
}

LATE: Final = sources_of(JobEvent.REPORT) - LEASED
"""States in which the latest token is that of a lease that ran out: a report goes on only where a place is free."""


# Made once, and not for each call of a batch. The text must not change, for digests are stored.
_TEXT: Final = json.JSONEncoder(sort_keys=True, default=str).encode
_CONTENT: Final = {
    kind: [f.name for f in fields(kind) if f.name not in ("project_id", "job_id", "token", "idempotency")]
    for kind in EVENT_OF
}


def call_digest(call: WorkerCall) -> bytes:
    """Fingerprint a call that ends a job, so that the same call again can be told from another one."""
    kind = type(call)
    text = _TEXT([kind.__name__, {name: getattr(call, name) for name in _CONTENT[kind]}])
    return hashlib.sha256(text.encode()).digest()


def _rounds(calls: Sequence[WorkerCall]) -> Iterator[list[int]]:
    """Yield the positions of the first call of each job, then of the second, and so on.

    Grouped by job id only, because the steps of a round are keyed by it. If another project sends the same id, its call
    goes into a later round, where the fence rejects it.
    """
    rounds: list[list[int]] = []
    latest: dict[UUID, int] = {}
    for position, call in enumerate(calls):
        turn = latest[call.job_id] = latest.get(call.job_id, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(position)
    yield from rounds


def row_count(call: WorkerCall) -> int:
    """Return how many rows a call writes, roughly."""
    return 1 + len(call.items) + len(call.logs) if isinstance(call, Report) else 1


async def apply_worker_calls(connection: Connection, calls: Sequence[WorkerCall]) -> Applied[WorkerOutcome]:
    """Apply a batch; each call has its own outcome, in the order given."""
    busy = await transitions.lock_free(connection, list(dict.fromkeys(call.job_ref for call in calls)))
    outcomes: dict[int, Outcome[WorkerOutcome]] = {
        position: Deferred.BUSY for position, call in enumerate(calls) if call.job_ref in busy
    }
    outcomes.update(await find_replays(connection, calls, outcomes))
    repeats = find_repeats(calls, outcomes)
    not_applied = {*outcomes, *repeats}
    changes: list[Change] = []
    for positions in _rounds(calls):
        turn = {
            position: calls[position]
            for position in positions
            if position not in not_applied and calls[position].job_ref not in busy
        }
        for apply in (_apply_reports, _apply_endings):
            applied, changed = await apply(connection, turn)
            outcomes.update(applied)
            changes.extend(changed)
        refused = {position: call for position, call in turn.items() if position not in outcomes}
        if refused:
            outcomes.update(await _explain(connection, refused))
        busy |= {call.job_ref for position, call in turn.items() if outcomes[position] is Deferred.BUSY}
    for position, call in enumerate(calls):
        if position not in outcomes and position not in repeats and call.job_ref in busy:
            outcomes[position] = Deferred.BUSY
    # A refused call leaves its key free.
    done = [
        (call.project_id, call.idempotency, None)
        for position, call in enumerate(calls)
        if call.idempotency and position not in not_applied and isinstance(outcomes[position], Reported | Ended)
    ]
    await store(connection, done)
    for position, first in repeats.items():
        outcomes[position] = repeat_outcome(calls[first], calls[position], outcomes[first])
    return Applied([outcomes[position] for position in range(len(calls))], changes)


async def _apply_reports(
    connection: Connection, calls: dict[int, WorkerCall]
) -> tuple[dict[int, WorkerOutcome | Deferred], list[Change]]:
    positions = {call.job_id: position for position, call in calls.items() if isinstance(call, Report)}
    if not positions:
        return {}, []
    reported, changes = await apply_reports(connection, [call for call in calls.values() if isinstance(call, Report)])
    return {positions[job_id]: outcome for job_id, outcome in reported.items()}, changes


async def _apply_endings(
    connection: Connection, calls: dict[int, WorkerCall]
) -> tuple[dict[int, WorkerOutcome], list[Change]]:
    changes: list[Change] = []
    done: dict[int, WorkerOutcome] = {}
    for kind, event in EVENT_OF.items():
        ending = {call.job_id: position for position, call in calls.items() if isinstance(call, kind)}
        if not ending:
            continue
        moves = await transitions.move(connection, event, [move_of(calls[position]) for position in ending.values()])
        done |= {ending[moved.job_id]: Ended(moved.job, moved.worker) for moved in moves if moved.job is not None}
        changes.extend(changes_of(moves))
    return done, changes


def move_of(call: WorkerCall) -> Move:
    """Return what a call that ends an attempt writes."""
    if isinstance(call, Fail):
        return Move(
            project_id=call.project_id,
            job_id=call.job_id,
            token=call.token,
            retryable=call.retryable,
            # Full jitter: attempts that failed together do not come back together.
            jitter=random.random(),  # noqa: S311 - jitter, not a secret
            retry_after_seconds=call.retry_after_seconds,
            error_code=call.code,
            error_message=call.message,
            final_call=call_digest(call),
        )
    done = call if isinstance(call, Complete) else None
    return Move(
        project_id=call.project_id,
        job_id=call.job_id,
        token=call.token,
        final_call=call_digest(call),
        result=done and done.result,
        billing=done and done.billing,
    )


async def _explain(connection: Connection, calls: dict[int, WorkerCall]) -> dict[int, WorkerOutcome | JobtrackError]:
    """Return why calls were refused, or the recorded answer of one that had been made before."""
    refs = list({call.job_ref for call in calls.values()})
    fences = await jobs.select_fences(connection, refs)
    current = await jobs.select_by_ids(connection, refs)
    answers: dict[int, WorkerOutcome | JobtrackError] = {}
    for position, call in calls.items():
        job = current.get(call.job_ref)
        answers[position] = (
            NotFoundError("There is no such job.") if job is None else _judge(call, fences[call.job_ref], job)
        )
    return answers


def _judge(call: WorkerCall, fence: Fence, job: Job) -> WorkerOutcome | JobtrackError:
    if fence.token != call.token:
        return LeaseLostError("The token is not the latest of this job: its lease was lost or given back.", job)
    if fence.state in TERMINAL:
        if not isinstance(call, Report) and fence.final_call == call_digest(call):
            return Ended(job, job.worker, recorded=True)
        return AlreadyTerminalError(f"The job has ended ({fence.state}); ended jobs never change.", job)
    if isinstance(call, Report) and fence.state in LATE:
        # Only for want of a place: the lease ran out, and others have taken what the queue's limit allows.
        message = "The lease ran out, and the queue holds as many jobs as its `concurrency_limit` allows."
        return LeaseLostError(message, job)
    return InvalidTransitionError(f"A {fence.state} job cannot take this call.", job)
