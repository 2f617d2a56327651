"""The feed shows what has settled, in one order, whoever commits first."""

from typing import Any

from app.db import deletions, events
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.event import Position
from app.domain.job import JobRef
from app.domain.states import JobState
from tests import factories
from tests.factories import Made


async def tell(connection: Connection, job: Made, number: int) -> None:
    if number:
        await factories.event(connection, JobRef(job.project_id, job.id), "job.told")


async def test_transactions_that_commit_out_of_order_leave_no_gap(database: Database) -> None:
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        job = await factories.job(connection, project_id, state=JobState.PENDING)
    head = await database.read(events.select_head)

    async def read(after: Position) -> tuple[list[Any], Position]:
        found, extents = await database.read(lambda c: events.select_feed(c, {project_id: after}, 100))
        return found, extents[project_id].position if extents else after

    async with database.transaction() as early:
        await tell(early, job, 1)
        async with database.transaction() as late:
            await tell(late, job, 2)
        # The later one is committed, and must wait: the earlier may still appear in front of it.
        assert await read(head) == ([], head)
    found, position = await read(head)
    assert len(found) == 2
    assert [event.position for event in found] == sorted(event.position for event in found)
    assert await read(position) == ([], position)


async def test_events_of_a_deleted_job_are_passed_over(database: Database) -> None:
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        gone = await factories.job(connection, project_id, state=JobState.CANCELLED)
        kept = await factories.job(connection, project_id, state=JobState.PENDING)
        for job in (gone, kept, gone):
            await tell(connection, job, 1)
    async with database.transaction() as connection:
        assert await deletions.delete(connection, [gone.key])
    found, extents = await database.read(lambda c: events.select_feed(c, {project_id: Position(0, 0)}, 100))
    assert {event.job_id for event in found} == {kept.id}
    assert extents[project_id].rows >= 3
    assert extents[project_id].position > found[-1].position
