"""Why a job does not go on: each reason, with its times and its sentence, from what stands in the tables."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.waiting import waiting_of
from app.db import tables
from app.db.connection import Connection
from app.db.engine import Database
from app.db.statement import Statement
from app.db.waiting import FACTS
from app.domain.ids import new_id
from app.domain.states import JobState
from app.domain.waiting import MOST_AHEAD, Reason, Waiting
from app.domain.worker import MOST_WORKERS, PRESENT_SECONDS
from tests import factories
from tests.factories import in_seconds, job, queue

LONG_AGO = -3 * 3600.0


async def asked(connection: Connection, project_id: UUID, name: str = "w", *, seconds: float, **columns: Any) -> None:
    """A worker that asked so many seconds ago, for anything unless `columns` say what."""
    values = {"more_queues": False, "more_types": False, "origin": "o", "asked_at": in_seconds(-seconds)} | columns
    await connection.core.execute(tables.workers.insert().values(project_id=project_id, name=name, **values))


async def waiting(database: Database, project_id: UUID, job_id: UUID) -> Waiting:
    return (await waiting_of(database, project_id, [job_id]))[job_id]


async def made(database: Database, project_id: UUID, **fields: Any) -> UUID:
    async with database.transaction() as connection:
        return (await job(connection, project_id, **fields)).id


async def moment(database: Database, expression: str, job_id: UUID) -> datetime:
    async with database.connection() as connection:
        found: datetime = await connection.driver.fetchval(f"SELECT {expression} FROM jobs WHERE id = $1", job_id)
        return found


async def test_job_that_starts_later_says_when(database: Database, project_id: UUID) -> None:
    job_id = await made(database, project_id, due_in_seconds=3600 + 30)
    found = await waiting(database, project_id, job_id)
    assert (found.reason, found.until) == (Reason.SCHEDULED, await moment(database, "scheduled_at", job_id))
    assert found.since == await moment(database, "status_changed_at", job_id)
    assert found.detail.startswith(f"The job starts at {found.until:%Y-%m-%d %H:%M:%S} UTC, in 60 min")


async def test_retry_says_when_and_after_which_error(database: Database, project_id: UUID) -> None:
    error = {"error_code": "s3_down", "error_message": "bucket gone"}
    job_id = await made(database, project_id, state=JobState.RETRYING, spent=True, due_in_seconds=77, **error)
    found = await waiting(database, project_id, job_id)
    assert (found.reason, found.until) == (Reason.RETRY_BACKOFF, await moment(database, "scheduled_at", job_id))
    assert "Attempt 2 of 3 starts at" in found.detail
    assert found.detail.endswith("the last one failed: s3_down: bucket gone.")


async def test_pause_says_who_why_and_until_when(database: Database, project_id: UUID) -> None:
    pause = {"paused_at": in_seconds(-60), "paused_by": "ops", "paused_reason": "index rebuilt"}
    async with database.transaction() as connection:
        await queue(connection, project_id, "docs", paused=True, paused_until=in_seconds(3600), **pause)
        await asked(connection, project_id, seconds=1)
    job_id = await made(database, project_id, queue="docs", due_in_seconds=LONG_AGO)
    found = await waiting(database, project_id, job_id)
    assert found.reason is Reason.QUEUE_PAUSED
    assert found.since is not None
    assert found.until is not None
    assert found.until - found.since == timedelta(seconds=3660)
    since, until = (f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in (found.since, found.until))
    assert found.detail == f"Queue docs is paused since {since} until {until} by key ops: index rebuilt."


async def test_pause_of_an_old_version_is_one_and_one_that_has_passed_is_none(
    database: Database, project_id: UUID
) -> None:
    async with database.transaction() as connection:
        await queue(connection, project_id, "old", paused=True)
        await queue(connection, project_id, "over", paused=True, paused_at=in_seconds(-9), paused_until=in_seconds(-1))
    old, over = [await made(database, project_id, queue=name) for name in ("old", "over")]
    found = await waiting(database, project_id, old)
    assert (found.reason, found.detail) == (Reason.QUEUE_PAUSED, "Queue old is paused.")
    assert (await waiting(database, project_id, over)).reason is Reason.NO_WORKER


async def test_full_queue_says_how_many_are_held_and_by_whom_the_oldest_is(
    database: Database, project_id: UUID
) -> None:
    async with database.transaction() as connection:
        await queue(connection, project_id, "docs", concurrency_limit=2)
        for worker, hours in (("w1", 1), ("w2", 2)):
            since = in_seconds(-3600 * hours)
            fields = {"queue": "docs", "worker": worker, "status_changed_at": since}
            await job(connection, project_id, state=JobState.RUNNING, **fields)
    job_id = await made(database, project_id, queue="docs")
    found = await waiting(database, project_id, job_id)
    assert (found.reason, found.until) == (Reason.CONCURRENCY_LIMIT, None)
    assert found.detail == "2 of 2 held in queue docs; the oldest by w2 for 2 h."


NOT_ASKED: dict[str, dict[str, Any]] = {
    "another queue": {"queues": ["other"]},
    "another type": {"types": ["other"]},
    "jobs by their ids": {"queues": [], "types": []},
    "the queue for another type": {"queues": ["docs"], "types": ["other"]},
}
ASKED: dict[str, dict[str, Any]] = {
    "anything": {},
    "the queue": {"queues": ["docs", "other"]},
    "the type": {"types": ["work"]},
    "the type in the queue": {"queues": ["docs"], "types": ["work"]},
    "more queues than are kept": {"queues": ["other"], "more_queues": True},
    "more types than are kept": {"types": ["other"], "more_types": True},
}


@pytest.mark.parametrize("names", NOT_ASKED)
async def test_worker_that_asks_for_something_else_is_none(database: Database, project_id: UUID, names: str) -> None:
    async with database.transaction() as connection:
        await asked(connection, project_id, seconds=1, **NOT_ASKED[names])
    found = await waiting(database, project_id, await made(database, project_id, queue="docs"))
    assert found.reason is Reason.NO_WORKER
    assert found.detail == "No worker has asked for queue docs and type work in the last 24 h."


@pytest.mark.parametrize("names", ASKED)
@pytest.mark.parametrize(("seconds", "reason"), [(55, Reason.BEHIND_OTHERS), (60, Reason.NO_WORKER)])
async def test_worker_is_there_for_a_minute_after_it_asked(
    database: Database, project_id: UUID, names: str, seconds: int, reason: Reason
) -> None:
    job_id = await made(database, project_id, queue="docs")
    async with database.transaction() as connection:
        await asked(connection, project_id, "vm:20964", seconds=seconds, **ASKED[names])
    assert (await waiting(database, project_id, job_id)).reason is reason


async def test_absence_says_who_was_the_last_and_when(database: Database, project_id: UUID) -> None:
    job_id = await made(database, project_id, queue="docs", due_in_seconds=LONG_AGO * 2)
    async with database.transaction() as connection:
        await asked(connection, project_id, "vm:20964", seconds=-LONG_AGO, queues=["docs"])
        await asked(connection, project_id, "vm:1", seconds=-2 * LONG_AGO)
    found = await waiting(database, project_id, job_id)
    sentence = "No worker has asked for queue docs and type work in the last 60 s (last: vm:20964, 3 h ago)."
    assert (found.reason, found.detail) == (Reason.NO_WORKER, sentence)


HELD = (JobState.DISPATCHED, JobState.RUNNING, JobState.CANCELLING)


@pytest.mark.parametrize("state", HELD)
@pytest.mark.parametrize("other", ["another queue", "the same, without a row of its worker"])
async def test_worker_that_holds_a_job_is_there_however_silent(
    database: Database, project_id: UUID, state: JobState, other: str
) -> None:
    job_id = await made(database, project_id, queue="docs")
    async with database.transaction() as connection:
        if other == "another queue":
            await asked(connection, project_id, "busy", seconds=3600, queues=["docs", "more"])
            await job(connection, project_id, state=state, queue="more", type="t", worker="busy")
        else:
            await job(connection, project_id, state=state, queue="docs", worker="busy")
    assert (await waiting(database, project_id, job_id)).reason is Reason.BEHIND_OTHERS


async def test_worker_of_another_project_and_one_whose_job_has_ended_are_not_there(
    database: Database, project_id: UUID
) -> None:
    job_id = await made(database, project_id, queue="docs")
    async with database.transaction() as connection:
        await asked(connection, await factories.project(connection), seconds=1)
        await asked(connection, project_id, "done", seconds=3600)
        await job(connection, project_id, state=JobState.COMPLETED, queue="docs", worker="done")
    assert (await waiting(database, project_id, job_id)).reason is Reason.NO_WORKER


async def test_where_more_workers_ask_than_are_kept_nobody_is_said_to_be_missing(
    database: Database, project_id: UUID
) -> None:
    job_id = await made(database, project_id, queue="docs")
    async with database.transaction() as connection:
        for n in range(MOST_WORKERS):
            await asked(connection, project_id, f"w{n}", seconds=1, queues=["other"])
    assert (await waiting(database, project_id, job_id)).reason is Reason.BEHIND_OTHERS
    async with database.transaction() as connection:
        await connection.driver.execute("DELETE FROM workers WHERE name = 'w0'")
    assert (await waiting(database, project_id, job_id)).reason is Reason.NO_WORKER


async def test_job_of_an_engine_waits_for_nobody_but_that(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        await queue(connection, project_id, "docs", paused=True)
        await asked(connection, project_id, seconds=1)
    found = await waiting(database, project_id, await made(database, project_id, queue="docs", engine="airflow"))
    assert found.reason is Reason.NO_WORKER
    assert found.detail.startswith("The engine airflow has not claimed the job")


async def test_turn_says_how_many_come_first(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        await asked(connection, project_id, "w2", seconds=3)
        # Not due, of another queue, of an engine: these come before nobody.
        await job(connection, project_id, priority=9, due_in_seconds=60)
        await job(connection, project_id, priority=9, queue="other")
        await job(connection, project_id, priority=9, engine="e")
        last = await job(connection, project_id, priority=-1)
        ids = [(await job(connection, project_id, priority=2 - n)).id for n in range(3)]
    found = await waiting_of(database, project_id, [*ids, last.id])
    assert {one.reason for one in found.values()} == {Reason.BEHIND_OTHERS}
    assert [found[job_id].detail.partition(";")[0] for job_id in (*ids, last.id)] == [
        "The job is the next of queue default",
        "1 job of queue default comes first",
        "2 jobs of queue default come first",
        "3 jobs of queue default come first",
    ]
    assert found[last.id].detail.endswith(("; w2 asked for such jobs 3 s ago.", "; w2 asked for such jobs 4 s ago."))


async def test_turn_is_counted_up_to_a_hundred(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        await asked(connection, project_id, seconds=1)
        for _ in range(MOST_AHEAD):
            await job(connection, project_id)
        last = await job(connection, project_id, priority=-1)
    detail = (await waiting(database, project_id, last.id)).detail
    assert detail.startswith("100 or more jobs of queue default come first")


async def test_copy_and_cancel_say_what_is_waited_for(database: Database, project_id: UUID) -> None:
    copying = await made(database, project_id, copying=True, items_total=12_000)
    fields = {"cancelled_by": "ops", "cancelled_at": in_seconds(-5), "worker": "w2"}
    cancelling = await made(database, project_id, state=JobState.CANCELLING, **fields)
    found = await waiting_of(database, project_id, [copying, cancelling])
    assert found[copying].reason is Reason.COPYING_ITEMS
    assert "12,000 items" in found[copying].detail
    assert found[cancelling].reason is Reason.CANCEL_UNANSWERED
    assert found[cancelling].since == await moment(database, "cancelled_at", cancelling)
    assert found[cancelling].until is not None
    assert found[cancelling].detail.startswith("Cancel was asked for by key ops ")


@pytest.mark.parametrize(
    ("left", "reason"), [(29, None), (12, None), (8, Reason.WORKER_SILENT), (-1, Reason.WORKER_SILENT), (None, None)]
)
@pytest.mark.parametrize("state", [JobState.DISPATCHED, JobState.RUNNING])
async def test_worker_that_misses_two_heartbeats_is_silent(
    database: Database, project_id: UUID, state: JobState, left: int | None, reason: Reason | None
) -> None:
    job_id = await made(database, project_id, state=state, lease_left_seconds=left, worker="w2")
    found = await waiting(database, project_id, job_id)
    assert found.reason is reason
    assert found.detail.startswith("w2 holds the job, ")
    if reason is not None:
        assert found.since is not None
        assert found.until is not None
        assert found.until - found.since == timedelta(seconds=30)


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
async def test_ended_job_waits_for_nothing(database: Database, project_id: UUID, state: JobState) -> None:
    found = await waiting(database, project_id, await made(database, project_id, state=state))
    assert (found.reason, found.detail) == (None, f"The job has ended: {state.value}.")


async def test_a_page_of_jobs_costs_one_statement(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        ids = [(await job(connection, project_id, queue=f"q{n % 7}", type=f"t{n % 3}")).id for n in range(100)]
    sent: list[Statement[Any, Any]] = []
    database.on_statement = sent.append
    found = await waiting_of(database, project_id, [*ids, ids[0], new_id()])
    assert sent == [FACTS]
    assert set(found) == set(ids)
    assert PRESENT_SECONDS == 60
