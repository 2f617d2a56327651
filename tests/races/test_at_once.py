"""Statements that lock, judge and write at once: what they see may be older than what they lock.

The gate (`gate`) holds a statement that has begun, while another transaction changes the job.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.core.batches.calls import apply_worker_calls
from app.core.batches.calls_at_once import apply_calls_at_once
from app.core.batches.reports import update_of
from app.db import reports, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.reports import Heartbeat, HeldToken
from app.db.transitions import Move
from app.domain.states import JobEvent, JobState
from app.domain.worker_call import Ended, Report
from app.live.change_feed import Change
from app.live.group_writer import GroupWriter
from tests import factories
from tests.core.worker_calls import complete, fail, release, report
from tests.factories import Made
from tests.races.gate import SET_UP, between_snapshot_and_lock

Write = Callable[[Connection, Made], Awaitable[list[Any]]]


async def extend(connection: Connection, made: Made) -> list[Any]:
    heartbeat = Heartbeat(project_id=made.project_id, job_id=made.id, token=made.held_by, lease_seconds=None)
    return list(await reports.extend_at_once(connection, [heartbeat]))


async def record(connection: Connection, made: Made, change: str | None = None) -> list[Any]:
    """Read the run and write it, as a group of reports does; something may change it between the two."""
    (run,) = (await reports.admit(connection, [HeldToken(made.project_id, made.id, made.held_by)])).values()
    if change:
        await connection.driver.execute(change)
    said = Report(project_id=made.project_id, job_id=made.id, token=made.held_by, progress=40.0)
    return list(await reports.record_at_once(connection, [update_of(said, run)]))


def ending(event: JobEvent) -> Write:
    async def end(connection: Connection, made: Made) -> list[Any]:
        move = Move(project_id=made.project_id, job_id=made.id, token=made.token, error_code="x", error_message="x")
        return list(await transitions.move_at_once(connection, event, [move]))

    return end


WRITES: dict[str, Write] = {"heartbeat": extend} | {event: ending(event) for event in transitions.MOVES_AT_ONCE}


async def put_held(database: Database) -> Made:
    async with database.transaction() as connection:
        made = await factories.job(
            connection, await factories.project(connection), state=JobState.RUNNING, items=2, max_attempts=1
        )
    async with database.connection() as connection:
        await connection.driver.execute(SET_UP)
    return made


async def gated(database: Database, write: Write, made: Made) -> list[Any]:
    async with database.transaction() as connection:
        await connection.driver.execute("SET LOCAL test.gated = 'on'")
        return await write(connection, made)


@pytest.mark.parametrize("kind", WRITES)
async def test_a_cancel_between_the_snapshot_and_the_lock_counts(database: Database, kind: str) -> None:
    made = await put_held(database)
    writing = asyncio.create_task(gated(database, WRITES[kind], made))

    async with between_snapshot_and_lock(database, writing) as other:
        await other.driver.execute("UPDATE jobs SET state = 'cancelling', version = version + 1")

    (written,) = await writing
    expected = JobState.CANCELLING if kind == "heartbeat" else JobState.CANCELLED
    assert (written.source, written.target) == (JobState.CANCELLING, expected)
    async with database.connection() as connection:
        assert (await factories.row(connection, made)).state == expected


TAKEN = {
    "its token": "UPDATE jobs SET token = gen_random_uuid()",
    "its end": "UPDATE jobs SET state = 'expired', completed_at = now()",
    "its return": "UPDATE jobs SET state = 'pending', token = NULL",
}


@pytest.mark.parametrize("change", TAKEN)
@pytest.mark.parametrize("kind", WRITES)
async def test_a_lease_lost_between_the_snapshot_and_the_lock_writes_nothing(
    database: Database, kind: str, change: str
) -> None:
    made = await put_held(database)
    writing = asyncio.create_task(gated(database, WRITES[kind], made))

    async with between_snapshot_and_lock(database, writing) as other:
        await other.driver.execute(TAKEN[change])
        before = await factories.whole(other, made)

    assert await writing == []
    async with database.connection() as connection:
        assert await factories.whole(connection, made) == before


async def test_a_lease_that_ran_out_between_the_snapshot_and_the_lock_needs_a_place(database: Database) -> None:
    made = await put_held(database)
    writing = asyncio.create_task(gated(database, extend, made))

    async with between_snapshot_and_lock(database, writing) as other:
        await other.driver.execute("UPDATE jobs SET state = 'retrying', version = version + 1")
        before = await factories.whole(other, made)

    assert await writing == [], "it is for the transaction, which locks the queue"
    async with database.connection() as connection:
        assert await factories.whole(connection, made) == before


async def test_items_that_failed_between_the_snapshot_and_the_lock_are_in_the_end(database: Database) -> None:
    made = await put_held(database)
    writing = asyncio.create_task(gated(database, WRITES[JobEvent.COMPLETE], made))

    async with between_snapshot_and_lock(database, writing) as other:
        await other.driver.execute("UPDATE runs SET items_failed = 1, version = version + 1, stage = 'last'")

    (moved,) = await writing
    assert moved.target is JobState.COMPLETED_WITH_FAILURES
    async with database.connection() as connection:
        row = await factories.row(connection, made)
        assert (row.state, row.items_failed, row.stage) == ("completed_with_failures", 1, "last")
        assert await factories.run_row(connection, made) is None


async def test_a_report_is_not_written_over_one_that_came_after_its_run_was_read(database: Database) -> None:
    made = await put_held(database)
    changed = "UPDATE runs SET progress = 70, version = version + 1"
    async with database.connection() as connection:
        assert await record(connection, made, changed) == []
        run = await factories.run_row(connection, made)
        assert run
        assert (run.progress, run.samples) == (70, [])


async def test_what_others_hold_is_left_to_them_and_not_waited_for(database: Database) -> None:
    made = await put_held(database)
    async with database.transaction() as holder:
        await transitions.lock_in_order(holder, [made.key])
        async with database.connection() as connection:
            await connection.driver.execute("SET lock_timeout = '100ms'")
            for write in WRITES.values():
                assert await write(connection, made) == []
            await connection.driver.execute("RESET lock_timeout")


@pytest.mark.parametrize("kind", [report, complete, fail, release])
async def test_a_call_for_a_job_that_is_held_for_a_moment_is_done_when_it_is_free(
    database: Database, kind: Any
) -> None:
    async with database.transaction() as connection:
        made = await factories.job(connection, await factories.project(connection), state=JobState.RUNNING)
    changes: list[Change] = []
    writer = GroupWriter(database, apply_worker_calls, changes.extend, at_once=apply_calls_at_once)
    async with database.transaction() as holder:
        await transitions.lock_in_order(holder, [made.key])
        calling = asyncio.create_task(writer.submit(kind(made)))
        async with asyncio.timeout(10):
            while not writer._waiting:  # Deferred to the next batch.
                await asyncio.sleep(0)
        assert not calling.done()
    outcome = await calling
    async with database.connection() as connection:
        row = await factories.row(connection, made)
    assert row.state == (outcome.job.state if isinstance(outcome, Ended) else "running")
