"""Calls of workers in batches, and the rows that they leave."""

from typing import Any
from uuid import UUID

from app.core.batches.calls import apply_worker_calls
from app.core.batches.calls_at_once import apply_calls_at_once
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.states import JobState
from app.domain.worker_call import Complete, Fail, LogLine, Release, Report, WorkerCall
from app.live.group_writer import GroupWriter
from tests import factories, sql
from tests.factories import Made

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
    """Apply one batch as a process does: at once what can be, and it comes back to jobs that another one holds."""
    writer = GroupWriter(database, apply_worker_calls, lambda _: None, at_once=apply_calls_at_once)
    return list(await writer.submit_many(calls))


async def apply_in_a_transaction(database: Database, *calls: WorkerCall) -> list[Any]:
    """Apply one batch, all of it in a transaction."""
    return list(await GroupWriter(database, apply_worker_calls, lambda _: None).submit_many(calls))


WAYS = {"at once": apply, "in a transaction": apply_in_a_transaction}


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
