"""What workers say, applied many at a time: reports, completions, failures and releases in one transaction.

All jobs of the batch are locked first, but for those that somebody else holds: their calls are deferred. Then the calls
apply in rounds: the first call of every job, then the second of those that have one, and so on, each kind in one
set-based statement whose WHERE is the fence. A call that the fence refused is explained afterwards, by one more read.
"""

import hashlib
import json
import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import fields
from uuid import UUID

from app.db import jobs, reports, transitions
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
from app.domain.job import Job, JobKey, Lease
from app.domain.states import TERMINAL, JobEvent
from app.domain.worker_call import Complete, Fail, Release, Replayed, Report, Reported, WorkerCall
from app.live.change_feed import Change
from app.live.group_writer import Applied, Deferred, Outcome
from app.live.moves import changes_of
from app.live.replays import recall, remember, reused_key_error
from app.live.reporting import apply_reports

EVENT_OF: dict[type[WorkerCall], JobEvent] = {
    Complete: JobEvent.COMPLETE,
    Fail: JobEvent.FAIL,
    Release: JobEvent.RELEASE,
}

WorkerOutcome = Reported | Job | Replayed


def call_digest(call: WorkerCall) -> bytes:
    """Fingerprint a call that ends a job, so that the same call again can be told from another one."""
    content = {
        f.name: getattr(call, f.name)
        for f in fields(call)
        if f.name not in ("project_id", "job_id", "token", "idempotency")
    }
    text = json.dumps([type(call).__name__, content], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).digest()


def _rounds(calls: Sequence[WorkerCall]) -> Iterator[list[int]]:
    """Give the positions of the first call of each job, then of the second, and so on.

    By the job's id alone, since the steps of a turn know jobs by it: another project that names the same id gets
    a turn of its own, where the fence finds no such job.
    """
    turns: list[list[int]] = []
    had: dict[UUID, int] = {}
    for position, call in enumerate(calls):
        turn = had[call.job_id] = had.get(call.job_id, -1) + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(position)
    yield from turns


def rows_of(call: WorkerCall) -> int:
    """Say how many rows a call writes, roughly."""
    return 1 + len(call.items) + len(call.logs) if isinstance(call, Report) else 1


async def apply_worker_calls(connection: Connection, calls: Sequence[WorkerCall]) -> Applied[WorkerOutcome]:
    """Apply a batch; each call has its own outcome, in the order given."""
    keys = list(dict.fromkeys((call.project_id, call.job_id) for call in calls))
    busy = await transitions.lock_free(connection, keys)
    outcomes: dict[int, Outcome[WorkerOutcome]] = {
        position: Deferred.BUSY for position, call in enumerate(calls) if (call.project_id, call.job_id) in busy
    }
    outcomes.update(await _replays(connection, calls, outcomes))
    already = set(outcomes)
    changes: list[Change] = []
    for every in _rounds(calls):
        turn = [position for position in every if position not in outcomes]
        mine: dict[int, Report] = {}
        for position in turn:
            call = calls[position]
            if isinstance(call, Report):
                mine[position] = call
        if mine:
            reported, changed = await apply_reports(connection, list(mine.values()))
            outcomes.update({p: reported[report.job_id] for p, report in mine.items() if report.job_id in reported})
            changes.extend(changed)
        endings = [position for position in turn if position not in mine]
        if endings:
            done, changed = await _apply_endings(connection, {position: calls[position] for position in endings})
            outcomes.update(done)
            changes.extend(changed)
        refused = [position for position in turn if position not in outcomes]
        if refused:
            outcomes.update(await _explain(connection, {position: calls[position] for position in refused}))
    # Under the lock of its job a call cannot meet its own repeat; a refused one leaves its key free.
    made = {
        (call.project_id, call.idempotency.route, call.idempotency.key): (call.project_id, call.idempotency, None)
        for position, call in enumerate(calls)
        if call.idempotency and position not in already and isinstance(outcomes[position], Reported | Job)
    }
    await remember(connection, list(made.values()))
    return Applied([outcomes[position] for position in range(len(calls))], changes)


async def _replays(
    connection: Connection, calls: Sequence[WorkerCall], busy: Container[int]
) -> dict[int, Outcome[WorkerOutcome]]:
    """Answer the calls that were made before under the same key."""
    asked = {n: call.idempotency for n, call in enumerate(calls) if call.idempotency and n not in busy}
    notes = await recall(connection, [(calls[n].project_id, key) for n, key in asked.items()])
    if not notes:
        return {}
    read = await jobs.select_by_ids(connection, list({(calls[n].project_id, calls[n].job_id) for n in asked}))
    answers: dict[int, Outcome[WorkerOutcome]] = {}
    for n, key in asked.items():
        call, note = calls[n], notes.get((calls[n].project_id, key.route, key.key))
        job = read.get((call.project_id, call.job_id))
        if note is None or job is None:
            continue
        if note.fingerprint != key.fingerprint:
            answers[n] = reused_key_error()
        elif isinstance(call, Report):
            seconds = None if call.lease_seconds is None else float(call.lease_seconds)
            answers[n] = Replayed(Reported(job.state, Lease(call.token, seconds)))
        else:
            answers[n] = Replayed(job)
    return answers


async def _apply_endings(
    connection: Connection, calls: dict[int, WorkerCall]
) -> tuple[dict[int, WorkerOutcome], list[Change]]:
    changes: list[Change] = []
    done: dict[int, WorkerOutcome] = {}
    unread: dict[int, JobKey] = {}
    for kind, event in EVENT_OF.items():
        asked = {call.job_id: (position, call) for position, call in calls.items() if isinstance(call, kind)}
        if not asked:
            continue
        moved = await transitions.move(connection, event, [_move(call) for _, call in asked.values()])
        for one in moved:
            if one.job is not None:
                done[asked[one.job_id][0]] = one.job
            else:
                unread[asked[one.job_id][0]] = (one.project_id, one.job_id)
        changes.extend(changes_of(moved))
        results = [
            call
            for one in moved
            if isinstance(call := asked[one.job_id][1], Complete)
            and (call.result is not None or call.billing is not None)
        ]
        if results:
            await reports.insert_results(connection, results)
    if unread:
        read = await jobs.select_by_ids(connection, list(unread.values()))
        done |= {position: read[key] for position, key in unread.items()}
    return done, changes


def _move(call: WorkerCall) -> Move:
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
    return Move(project_id=call.project_id, job_id=call.job_id, token=call.token, final_call=call_digest(call))


async def _explain(connection: Connection, calls: dict[int, WorkerCall]) -> dict[int, WorkerOutcome | JobtrackError]:
    """Say why calls were refused, or give the recorded answer to one that had been made before."""
    keys = list({(call.project_id, call.job_id) for call in calls.values()})
    fences = await jobs.select_fences(connection, keys)
    read = await jobs.select_by_ids(connection, keys)
    answers: dict[int, WorkerOutcome | JobtrackError] = {}
    for position, call in calls.items():
        key = (call.project_id, call.job_id)
        job = read.get(key)
        answers[position] = NotFoundError("There is no such job.") if job is None else _judge(call, fences[key], job)
    return answers


def _judge(call: WorkerCall, fence: Fence, job: Job) -> WorkerOutcome | JobtrackError:
    if fence.token != call.token:
        return LeaseLostError("The token is not the latest of this job: its lease was lost or given back.", job)
    if fence.state in TERMINAL:
        if not isinstance(call, Report) and fence.final_call == call_digest(call):
            return job
        return AlreadyTerminalError(f"The job has ended ({fence.state}); ended jobs never change.", job)
    return InvalidTransitionError(f"A {fence.state} job cannot take this call.", job)
