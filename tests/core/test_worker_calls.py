"""Batches of what workers say: the fence, the order, the counts, and no deadlock between two processes."""

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
    InvalidTransitionError,
    LeaseLostError,
    NotFoundError,
)
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.job import ClaimFilter, Job
from app.domain.states import TERMINAL, JobEvent, JobState
from app.domain.worker_call import Complete, Fail, LogLine, Release, Replayed, Report, Reported, WorkerCall
from app.live.group_writer import Applied, GroupWriter
from tests import factories, sql
from tests.factories import HOUR, Made

FULL_REPORT: dict[str, Any] = {
    "stage": "chunking",
    "progress": 50.0,
    "message": "half way",
    "items": (ItemUpdate(key="a", status=ItemStatus.COMPLETED),),
    "items_total": 7,
    "logs": (LogLine("info", "hello"),),
    "checkpoint": {"at": 1},
}


def report(made: Made, **said: Any) -> Report:
    return Report(**({"project_id": made.project_id, "job_id": made.id, "token": made.token} | said))


def complete(made: Made, **said: Any) -> Complete:
    return Complete(**({"project_id": made.project_id, "job_id": made.id, "token": made.token} | said))


def fail(made: Made, **said: Any) -> Fail:
    own = {"project_id": made.project_id, "job_id": made.id, "token": made.token, "code": "boom", "message": "it broke"}
    return Fail(**(own | said))


def release(made: Made, **said: Any) -> Release:
    return Release(**({"project_id": made.project_id, "job_id": made.id, "token": made.token} | said))


async def put(database: Database, project_id: UUID, state: JobState = JobState.RUNNING, **columns: Any) -> Made:
    async with database.transaction() as connection:
        return await factories.job(connection, project_id, state=state, **columns)


async def whole(database: Database, made: Made) -> tuple[Any, ...]:
    async with database.transaction() as connection:
        return await factories.whole(connection, made)


async def apply(database: Database, *calls: WorkerCall) -> list[Any]:
    """Apply one batch as a process does, which comes back to jobs that another one holds."""
    return list(await GroupWriter(database, apply_worker_calls, lambda _: None).submit_many(calls))


async def counts(connection: Connection, made: Made) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the run (or the ended job) says of the items, and what their rows say."""
    said = """
        SELECT coalesce(r.items_count, j.items_total), coalesce(r.items_processed, j.items_processed),
               coalesce(r.items_failed, j.items_failed), coalesce(r.items_skipped, j.items_skipped)
        FROM jobs j LEFT JOIN runs r ON r.project_id = j.project_id AND r.job_id = j.id WHERE j.id = :id
    """
    rows = """
        SELECT count(*), count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'failed'),
               count(*) FILTER (WHERE status = 'skipped')
        FROM items WHERE job_id = :id
    """
    own = await sql.fetch_one(connection, said, id=made.id)
    stored = await sql.fetch_one(connection, rows, id=made.id)
    return tuple(own), tuple(stored)


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("kind", [report, complete, fail, release])
async def test_stale_token_changes_nothing_in_any_state(
    database: Database, project_id: UUID, kind: Any, state: JobState
) -> None:
    made = await put(database, project_id, state, items=2)
    before = await whole(database, made)
    said: dict[str, Any] = {report: FULL_REPORT, complete: {"result": 1}}.get(kind, {})

    (outcome,) = await apply(database, kind(made, token=uuid4(), **said))

    assert isinstance(outcome, LeaseLostError)
    assert outcome.job
    assert outcome.job.state is state
    assert await whole(database, made) == before


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_ended_job_answers_the_latest_token_and_never_changes(
    database: Database, project_id: UUID, state: JobState
) -> None:
    made = await put(database, project_id, state, items=2)
    before = await whole(database, made)

    outcomes = await apply(
        database, report(made), report(made, **FULL_REPORT), complete(made, result=1), fail(made), release(made)
    )

    assert [type(outcome) for outcome in outcomes] == [AlreadyTerminalError] * 5
    assert await whole(database, made) == before


async def test_release_of_a_job_whose_lease_ran_out_is_no_step_of_the_lifecycle(
    database: Database, project_id: UUID
) -> None:
    made = await put(database, project_id, JobState.RETRYING)
    before = await whole(database, made)
    (outcome,) = await apply(database, release(made))
    assert isinstance(outcome, InvalidTransitionError)
    assert await whole(database, made) == before


async def test_unknown_job_and_job_of_another_project_are_not_found_and_leave_nothing(
    database: Database, project_id: UUID
) -> None:
    async with database.transaction() as connection:
        other = await factories.project(connection)
    made = await put(database, project_id)
    foreign = Made(other, made.id, made.token)
    before = await whole(database, made)

    unknown = Made(project_id, uuid4(), uuid4())
    outcomes = await apply(database, report(unknown), complete(foreign, result=1), report(foreign, **FULL_REPORT))

    assert [type(outcome) for outcome in outcomes] == [NotFoundError] * 3
    assert await whole(database, made) == before
    assert not any(await whole_of_foreign(database, foreign))


async def whole_of_foreign(database: Database, made: Made) -> list[int]:
    found = []
    async with database.transaction() as connection:
        for table in ("items", "events", "job_logs", "checkpoints", "results", "runs"):
            statement = f"SELECT count(*) FROM {table} WHERE project_id = :project_id AND job_id = :job_id"
            of_it = {"project_id": made.project_id, "job_id": made.id}
            found.append(await sql.fetch_value(connection, statement, **of_it))
    return found


@pytest.mark.parametrize("first", ["owner", "stranger"])
async def test_a_stranger_with_the_same_job_in_one_batch_neither_writes_nor_disturbs(
    database: Database, project_id: UUID, first: str
) -> None:
    """Job ids are no secret; the stranger even guessed the token here."""
    async with database.transaction() as connection:
        other = await factories.project(connection)
    made = await put(database, project_id)
    foreign = Made(other, made.id, made.token)
    stranger = {"items": (ItemUpdate(key="evil", status=ItemStatus.FAILED),), "stage": "evil"}

    def ordered(mine: WorkerCall, theirs: WorkerCall) -> list[WorkerCall]:
        return [mine, theirs] if first == "owner" else [theirs, mine]

    reported = await apply(database, *ordered(report(made, **FULL_REPORT), report(foreign, **stranger)))
    ended = await apply(database, *ordered(complete(made, result=1), complete(foreign, result=2)))

    mine, theirs = (0, 1) if first == "owner" else (1, 0)
    assert isinstance(reported[mine], Reported)
    assert isinstance(reported[theirs], NotFoundError)
    assert isinstance(ended[theirs], NotFoundError)
    assert isinstance(ended[mine], Job)
    assert (ended[mine].state, ended[mine].stage, ended[mine].counts.failed) == (JobState.COMPLETED, "chunking", 0)
    assert not any(await whole_of_foreign(database, foreign))


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
        *(Reported, Reported, Job, Job),
        *(AlreadyTerminalError, AlreadyTerminalError, AlreadyTerminalError),
    ]
    assert outcomes[2] == outcomes[3]
    assert (outcomes[2].state, outcomes[2].stage, outcomes[2].counts.processed) == ("completed", "chunking", 1)
    assert (outcomes[0].state, outcomes[1].state) == ("running", "running")


async def test_order_among_jobs_and_kinds_is_kept(database: Database, project_id: UUID) -> None:
    first, second, third = [await put(database, project_id) for _ in range(3)]

    outcomes = await apply(
        database, fail(first), report(second), complete(third), report(first), fail(second), complete(third)
    )

    assert isinstance(outcomes[3], LeaseLostError), "a failure that is retried spends the token"
    assert [getattr(outcome, "state", None) for outcome in outcomes] == [
        *("retrying", "running", "completed", None),
        *("retrying", "completed"),
    ]
    async with database.transaction() as connection:
        rows = await sql.fetch(connection, "SELECT to_state FROM events WHERE job_id = :id ORDER BY id", id=second.id)
        assert [row.to_state for row in rows] == ["retrying"]


async def test_failing_item_makes_it_completed_with_failures(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id)
    outcomes = await apply(
        database, report(made, items=(ItemUpdate(key="a", status=ItemStatus.FAILED),)), complete(made)
    )
    assert outcomes[1].state is JobState.COMPLETED_WITH_FAILURES


async def test_bare_heartbeat_extends_the_lease_and_shows_no_change(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, lease_left_seconds=5)
    row, run, *rest = await whole(database, made)

    (outcome,) = await apply(database, report(made))

    assert outcome.lease.expires_in_seconds == pytest.approx(30, abs=1)
    row_now, run_now, *rest_now = await whole(database, made)
    assert row_now == row
    assert rest_now == rest
    changed = {name for name in run._fields if getattr(run, name) != getattr(run_now, name)}
    assert changed == {"lease_ends_at"}


async def test_late_report_under_an_unsuperseded_token_takes_the_job_back(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, JobState.RETRYING)

    (outcome,) = await apply(database, report(made))

    assert (outcome.state, outcome.cancel_requested) == (JobState.RUNNING, False)
    assert outcome.lease.expires_in_seconds == pytest.approx(30, abs=1)
    async with database.transaction() as connection:
        assert (await factories.row(connection, made)).attempt == 1


async def test_superseded_worker_is_told_and_changes_nothing(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, JobState.RETRYING)
    async with database.transaction() as connection:
        wanted = ClaimFilter(project_id=project_id)
        (taken,) = await claims.claim(connection, wanted, [Slot(uuid4(), "second", 30)])
    before = await whole(database, made)

    outcomes = await apply(database, report(made, **FULL_REPORT), complete(made), fail(made), release(made))

    assert [type(outcome) for outcome in outcomes] == [LeaseLostError] * 4
    assert await whole(database, made) == before
    (outcome,) = await apply(database, complete(Made(project_id, made.id, taken.token)))
    assert outcome.worker == "second"


async def test_a_report_to_a_cancelled_job_is_told_and_does_not_prolong_it(
    database: Database, project_id: UUID
) -> None:
    made = await put(database, project_id, JobState.CANCELLING, lease_left_seconds=9)

    first, kept = await apply(database, report(made, lease_seconds=3_000, **FULL_REPORT), complete(made, result="kept"))

    assert first.cancel_requested
    assert first.lease.expires_in_seconds < 10
    assert (kept.state, kept.counts.processed) == (JobState.CANCELLED, 1)
    async with database.transaction() as connection:
        stored = await sql.fetch_value(connection, "SELECT result FROM results WHERE job_id = :id", id=made.id)
        assert stored == "kept"


async def test_an_item_named_twice_in_a_report_is_one_item(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id)
    await apply(
        database,
        report(
            made,
            items=(
                ItemUpdate(key="a", name="first", status=ItemStatus.FAILED, error_code="x"),
                ItemUpdate(key="a", status=ItemStatus.COMPLETED),
                ItemUpdate(key="b"),
            ),
        ),
    )
    async with database.transaction() as connection:
        said, stored = await counts(connection, made)
        rows = await sql.fetch(
            connection,
            "SELECT key, position, name, status, error_code FROM items WHERE job_id = :id ORDER BY position",
            id=made.id,
        )
        assert [tuple(vars(row).values()) for row in rows] == [
            ("a", 1, "first", "completed", None),
            ("b", 2, None, "queued", None),
        ]
    assert said == stored == (2, 1, 0, 0)


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
            assert isinstance(outcome, Reported | Job | ConflictError), outcome

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

    async def watched(connection: Connection, calls: Sequence[WorkerCall]) -> Applied[Reported | Job | Replayed]:
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
    assert isinstance(ended, Job)
    assert ended.state is JobState.CANCELLED
