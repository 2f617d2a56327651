"""Batches of worker calls: their order, the counts after them, and no deadlock between two processes."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.batches.calls import apply_worker_calls
from app.db import claims, transitions
from app.db.claims import Slot
from app.db.connection import Connection
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.errors import (
    AlreadyTerminalError,
    ConflictError,
    LeaseLostError,
)
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.job import ClaimFilter
from app.domain.states import JobEvent, JobState
from app.domain.worker_call import Ended, Reported, WorkerCall, WorkerOutcome
from app.live.group_writer import GroupWriter
from app.live.outcomes import Applied
from tests import factories, sql
from tests.core.worker_calls import apply, complete, counts, fail, put, release, report
from tests.factories import HOUR, Made


async def test_calls_for_one_job_in_one_batch_apply_in_order(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, JobState.DISPATCHED)
    done = complete(made, result={"answer": 42}, billing={"cents": 1})

    outcomes = await apply(
        database,
        report(made, stage="scanning", items=(ItemUpdate(key="a", status=ItemStatus.FAILED),)),
        report(made, stage="chunking", items=(ItemUpdate(key="a", status=ItemStatus.COMPLETED),)),
        done,
        done,
        complete(made, result="another"),
        report(made, stage="too late"),
        release(made),
    )

    assert [type(outcome) for outcome in outcomes] == [
        *(Reported, Reported, Ended, Ended),
        *(AlreadyTerminalError, AlreadyTerminalError, AlreadyTerminalError),
    ]
    assert outcomes[2] == outcomes[3]
    ended = outcomes[2].job
    assert (ended.state, ended.stage, ended.counts.processed) == ("completed", "chunking", 1)
    assert (outcomes[0].state, outcomes[1].state) == ("running", "running")


async def test_order_among_jobs_and_kinds_is_kept(database: Database, project_id: UUID) -> None:
    first, second, third = [await put(database, project_id) for _ in range(3)]

    outcomes = await apply(
        database, fail(first), report(second), complete(third), report(first), fail(second), complete(third)
    )

    assert isinstance(outcomes[3], LeaseLostError), "a failure that is retried spends the token"
    assert [getattr(outcome, "job", outcome).state for outcome in outcomes if outcome is not outcomes[3]] == [
        *("retrying", "running", "completed"),
        *("retrying", "completed"),
    ]
    async with database.transaction() as connection:
        rows = await sql.fetch(connection, "SELECT to_state FROM events WHERE job_id = :id ORDER BY id", id=second.id)
        assert [row.to_state for row in rows] == ["retrying"]


def _random_call(dice: random.Random, made: Made) -> WorkerCall:
    kind = dice.choices(["report", "stale", "complete", "fail", "release"], [80, 5, 5, 5, 5])[0]
    if kind in ("report", "stale"):
        updates = tuple(
            ItemUpdate(key=f"file-{dice.randrange(12)}", status=dice.choice([None, *ItemStatus]))
            for _ in range(dice.randrange(8))
        )
        said: dict[str, Any] = {"items": updates} | ({"token": uuid4()} if kind == "stale" else {})
        return report(made, **said)
    return {"complete": complete, "fail": fail, "release": release}[kind](made)


@pytest.mark.parametrize("seed", range(12))
async def test_counts_equal_the_rows_after_any_interleaving(database: Database, project_id: UUID, seed: int) -> None:
    """Two processes write overlapping batches at once, jobs are claimed again in between, some are cancelled."""
    dice = random.Random(seed)
    held = [await put(database, project_id, items=dice.randrange(3), max_attempts=50) for _ in range(4)]

    async def batch() -> None:
        calls = [_random_call(dice, dice.choice(held)) for _ in range(dice.randrange(1, 10))]
        for outcome in await apply(database, *calls):
            assert isinstance(outcome, Reported | Ended | ConflictError), outcome

    for _ in range(10):
        await asyncio.gather(batch(), batch())
        async with database.transaction() as connection:
            for made in held:
                said, stored = await counts(connection, made)
                assert said == stored
            if dice.random() < 0.1:
                one = dice.choice(held)
                await transitions.lock_in_order(connection, [one.key])
                await transitions.move(connection, JobEvent.CANCEL, [Move(project_id=project_id, job_id=one.id)])
            await sql.execute(
                connection, "UPDATE jobs SET scheduled_at = now() - interval '1 hour' WHERE state = 'retrying'"
            )
            wanted = ClaimFilter(project_id=project_id)
            taken = await claims.claim(connection, wanted, [Slot(uuid4(), "w", 30) for _ in held])
        tokens_now = {one.moved.job_id: one.token for one in taken}
        held = [Made(project_id, made.id, tokens_now.get(made.id, made.token)) for made in held]


WRITERS = 6
"""Two writers in a wrong order may be lucky; of six some two meet in opposite directions."""


@pytest.mark.parametrize("turn", range(3))
async def test_overlapping_batches_of_many_processes_do_not_deadlock(
    database: Database, project_id: UUID, turn: int
) -> None:
    """The gate is a lock on one job in the middle: every batch meets it, and goes round it until it opens."""
    made = [await put(database, project_id) for _ in range(40)]
    shuffled = [random.Random(turn * 10 + n).sample(made, len(made)) for n in range(WRITERS)]

    async with database.transaction() as gate:
        await transitions.lock_in_order(gate, [made[20].key])
        updates = (ItemUpdate(key="a"), ItemUpdate(key="b"))
        batches = [[report(one, items=updates) for one in jobs] for jobs in shuffled]
        writing = [asyncio.create_task(apply(database, *batch)) for batch in batches]
        async with asyncio.timeout(10), database.connection() as watching:
            others = [one for one in made if one is not made[20]]
            while [await counts(watching, one) for one in others] != [((2, 0, 0, 0), (2, 0, 0, 0))] * len(others):
                await asyncio.sleep(0)
        assert not any(task.done() for task in writing)
    outcomes = await asyncio.gather(*writing)

    assert all(isinstance(outcome, Reported) for batch in outcomes for outcome in batch)
    async with database.transaction() as connection:
        for one in made:
            said, stored = await counts(connection, one)
            assert said == stored == (2, 0, 0, 0)


async def test_batch_whose_jobs_are_cancelled_in_between_says_so(database: Database, project_id: UUID) -> None:
    """A batch comes back to a job that the canceller held, and then sees what it committed."""
    made = await put(database, project_id, expires_at=factories.in_seconds(HOUR))
    looked = asyncio.Event()

    async def watched(connection: Connection, calls: Sequence[WorkerCall]) -> Applied[WorkerOutcome]:
        applied = await apply_worker_calls(connection, calls)
        looked.set()
        return applied

    async with database.transaction() as canceller:
        await transitions.lock_in_order(canceller, [made.key])
        await transitions.move(canceller, JobEvent.CANCEL, [Move(project_id=project_id, job_id=made.id)])
        writer = GroupWriter(database, watched, lambda _: None)
        writing = asyncio.create_task(writer.submit_many([report(made), complete(made)]))
        await asyncio.wait_for(looked.wait(), 10)
        assert not writing.done()

    told, ended = await writing

    assert isinstance(told, Reported)
    assert told.cancel_requested
    assert isinstance(ended, Ended)
    assert ended.job.state is JobState.CANCELLED
