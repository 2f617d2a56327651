"""Workers' calls in statements that commit themselves: one for all heartbeats of a group, one for all completions.

They lock the jobs, judge the fence and the state, and write, by the rules and the builder of the transaction
(`calls.apply_worker_calls`). That does what they leave out: calls under an Idempotency-Key, a job's second call in a
group, reports with items, lines or a checkpoint, those of a job whose lease ran out, which needs a place in its queue,
jobs that others hold, and whatever is refused and wants a reason.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

from app.core.batches.at_once import try_once
from app.core.batches.calls import EVENT_OF, move_of
from app.core.batches.changes import changes_of
from app.core.batches.reports import answers_to, heartbeat, held_token, update_of
from app.db import reports, transitions
from app.db.engine import Database
from app.domain.errors import UnavailableError
from app.domain.states import JobEvent
from app.domain.worker_call import Ended, Report, WorkerCall, WorkerOutcome
from app.live.change_feed import Change
from app.live.outcomes import Outcome, Partly

_Written: TypeAlias = tuple[dict[UUID, Any], list[Change]]
"""The outcomes of the calls that were written, by job, and what to announce."""
_Write: TypeAlias = Callable[[Database, Sequence[Any]], Awaitable[_Written]]


async def apply_calls_at_once(database: Database, calls: Sequence[WorkerCall]) -> Partly[WorkerOutcome]:
    """Apply what needs no transaction. The statements are about different jobs, and run side by side."""
    kinds: dict[_Write, list[int]] = {}
    for position in _first_calls(calls):
        if (write := _write_of(calls[position])) is not None:
            kinds.setdefault(write, []).append(position)
    done = await asyncio.gather(
        *(try_once(write(database, [calls[n] for n in positions])) for write, positions in kinds.items())
    )
    outcomes: dict[int, Outcome[WorkerOutcome]] = {}
    changes: list[Change] = []
    for written, positions in zip(done, kinds.values(), strict=True):
        if isinstance(written, UnavailableError):
            outcomes.update(dict.fromkeys(positions, written))
        elif written is not None:
            answers, changed = written
            outcomes.update({n: answers[calls[n].job_id] for n in positions if calls[n].job_id in answers})
            changes += changed
    return Partly(outcomes, changes)


def _first_calls(calls: Sequence[WorkerCall]) -> list[int]:
    """Return the position of each job's first call. Those behind it are for the transaction, which keeps their order.

    By id alone, as the answers are: if another project sends the same id, its call is not the first.
    """
    first: dict[UUID, int] = {}
    for position, call in enumerate(calls):
        first.setdefault(call.job_id, position)
    return list(first.values())


def _write_of(call: WorkerCall) -> _Write | None:
    """Return what writes a call at once; None of a call that needs the transaction."""
    if call.idempotency is not None:
        return None
    if not isinstance(call, Report):
        return _ENDINGS[type(call)]
    if call.bare:
        return _extend
    return None if call.items or call.logs or call.checkpoint is not None else _record


async def _extend(database: Database, batch: Sequence[Report]) -> _Written:
    recorded = await database.write_at_once(reports.extend_at_once, [heartbeat(report) for report in batch])
    return answers_to(batch, recorded)


async def _record(database: Database, batch: Sequence[Report]) -> _Written:
    """Read the runs without a lock, for the estimates, and write them if they are still what was read."""
    runs = await database.read(reports.admit, [held_token(report) for report in batch])
    updates = [update_of(report, runs[report.job_id]) for report in batch if report.job_id in runs]
    recorded = await database.write_at_once(reports.record_at_once, updates) if updates else []
    return answers_to(batch, recorded)


async def _end(event: JobEvent, database: Database, batch: Sequence[WorkerCall]) -> _Written:
    moves = await database.write_at_once(transitions.move_at_once, event, [move_of(call) for call in batch])
    answers = {moved.job_id: Ended(moved.job, moved.worker) for moved in moves if moved.job is not None}
    return answers, changes_of(moves)


_ENDINGS: Final[dict[type[WorkerCall], _Write]] = {kind: partial(_end, event) for kind, event in EVENT_OF.items()}
