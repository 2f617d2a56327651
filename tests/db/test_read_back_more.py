"""As `test_read_back`, for everything that is no job: items, history, queues, keys, inputs, idempotency records."""

from typing import Any

from app.db import (
    claimed_items,
    events,
    idempotency,
    inputs,
    item_keys,
    item_pages,
    key_lookups,
    keys,
    limits,
    logs,
    projects,
    queues,
    tables,
)
from app.db.connection import Connection
from app.db.engine import Database
from app.db.events import PageEnd
from app.db.idempotency import CreationRecord, IdempotencyRecord, RecordKey
from app.db.inputs import Held
from app.db.sizes import ANY_SIZE
from app.domain.event import JobEventRecord, LogRecord, Position
from app.domain.input import StoredInput
from app.domain.item import CountedItems, Item, ItemStatus
from app.domain.job import ClaimFilter, JobRef, Retry
from app.domain.principal import Principal, Project, Scope, StoredKey
from app.domain.queue import Pause, Queue, QueueRules
from app.domain.states import JobState
from tests.db import distinct
from tests.db.distinct import made_of

Row = dict[str, Any]
SCOPES = ["read", "work"]
MOST: dict[str, int] = {"limit": 9, "max_size": ANY_SIZE}


async def job_row(connection: Connection, **given: Any) -> Row:
    values: Row = {"state": "running", "attempt": 3, "max_attempts": 5, "progress": 31.5, "completed_at": None}
    return await distinct.insert(connection, tables.jobs, **(values | given))


def of_job(job: Row) -> Row:
    return {"project_id": job["project_id"], "job_id": job["id"]}


async def test_item_reads_back(connection: Connection) -> None:
    job = await job_row(connection)
    row = await distinct.insert(connection, tables.items, **of_job(job), status="skipped")
    item = made_of(Item, row, status=ItemStatus.SKIPPED)
    ref = JobRef(job["project_id"], job["id"])
    assert (await item_pages.select_window(connection, ref, after=0, window=9, limit=9, max_size=ANY_SIZE)).items == (
        item,
    )
    counted = await item_pages.select_by_offset(connection, ref, ItemStatus.SKIPPED, offset=0, **MOST)
    assert counted == CountedItems((item,), 1)
    assert await item_keys.select_by_key(connection, job["project_id"], [job["id"]], row["key"]) == {job["id"]: item}
    assert await item_pages.count(connection, *ref) == row["position"]


async def test_item_of_a_claim_reads_back(connection: Connection) -> None:
    job = await job_row(connection)
    row = await distinct.insert(connection, tables.items, **of_job(job), status="processing")
    ref = JobRef(job["project_id"], job["id"])
    pages = await claimed_items.select_unfinished(connection, ref[0], [ref[1]], window=9, **MOST)
    assert pages[ref.job_id].items == (made_of(Item, row, status=ItemStatus.PROCESSING),)


async def test_item_without_anything_reads_back(connection: Connection) -> None:
    job = await job_row(connection)
    empty = {column.name: None for column in tables.items.c if column.nullable}
    row = await distinct.insert(connection, tables.items, **of_job(job), status="queued", **empty)
    ref = JobRef(job["project_id"], job["id"])
    (item,) = (await item_pages.select_window(connection, ref, after=0, window=9, limit=9, max_size=ANY_SIZE)).items
    assert item == made_of(Item, row, status=ItemStatus.QUEUED)


async def test_event_and_log_line_read_back(connection: Connection) -> None:
    job = await job_row(connection)
    row = await distinct.insert(connection, tables.events, **of_job(job), from_state="pending", to_state="running")
    stored = await distinct.stored(connection, tables.events, job_id=job["id"])
    (event,), _ = await events.select_of_job(connection, job["project_id"], job["id"], after=0, **MOST)
    assert event == made_of(
        JobEventRecord,
        row,
        position=Position(int(stored["xid"]), stored["id"]),
        source=JobState.PENDING,
        target=JobState.RUNNING,
        queue=job["queue"],
    )
    assert await events.select_last_of_job(connection, job["project_id"], job["id"]) == event.position
    line = await distinct.insert(connection, tables.job_logs, **of_job(job))
    found = await logs.select_page(
        connection, JobRef(job["project_id"], job["id"]), offset=0, window=9, limit=9, max_size=ANY_SIZE
    )
    assert found.lines == [made_of(LogRecord, line)]


async def test_event_reads_back_from_the_feed(database: Database) -> None:
    """Which shows only what is committed."""
    async with database.transaction() as connection:
        job = await job_row(connection)
        await distinct.insert(connection, tables.events, **of_job(job), from_state="pending", to_state="running")
    async with database.connection() as connection:
        of_this_job, _ = await events.select_of_job(connection, job["project_id"], job["id"], after=0, **MOST)
        page, ends = await events.select_feed(connection, {job["project_id"]: Position(0, 0)}, 9)
        head = await events.select_head(connection)
    assert page == of_this_job
    assert ends == {job["project_id"]: PageEnd(page[0].position, 1)}
    assert head > page[0].position


async def test_queue_reads_back(connection: Connection) -> None:
    row = await distinct.insert(connection, tables.queues)
    rules = QueueRules(
        paused=row["paused"],
        pause=Pause(at=row["paused_at"], by=row["paused_by"], reason=row["paused_reason"], until=row["paused_until"]),
        concurrency_limit=row["concurrency_limit"],
        retry=Retry(row["retry_delay_seconds"], row["retry_factor"], row["retry_max_delay_seconds"]),
        retention_seconds=row["retention_seconds"],
        retention_failed_seconds=row["retention_failed_seconds"],
        expected_seconds=row["expected_seconds"],
    )
    queue = Queue(row["name"], rules, row["created_at"], row["updated_at"])
    assert await queues.select_one(connection, row["project_id"], row["name"]) == queue
    assert await queues.select_page(connection, row["project_id"], after="", limit=9) == [queue]
    wanted = ClaimFilter(project_id=row["project_id"])
    assert await limits.lock_limited(connection, wanted) == {row["name"]: row["concurrency_limit"]}


async def test_queue_without_rules_reads_back(connection: Connection) -> None:
    empty = {column.name: None for column in tables.queues.c if column.nullable}
    row = await distinct.insert(connection, tables.queues, paused=False, **empty)
    queue = Queue(row["name"], QueueRules(), row["created_at"], row["updated_at"])
    assert await queues.select_one(connection, row["project_id"], row["name"]) == queue


async def test_key_and_its_project_read_back(connection: Connection) -> None:
    project = await distinct.insert(connection, tables.projects)
    assert await projects.select_project(connection, project["id"]) == made_of(Project, project)
    assert made_of(Project, project) in await projects.select_projects(connection, before=None, limit=99)
    row = await distinct.insert(connection, tables.keys, project_id=project["id"], scopes=SCOPES)
    key = made_of(StoredKey, row, scopes=frozenset({Scope.READ, Scope.WORK}), queues=frozenset(row["queues"]))
    assert await keys.select_key(connection, row["project_id"], row["id"]) == key
    assert await keys.select_keys(connection, row["project_id"], before=None, limit=9) == [key]


async def test_principal_reads_back(connection: Connection) -> None:
    project = await distinct.insert(connection, tables.projects)
    row = await distinct.insert(connection, tables.keys, project_id=project["id"], scopes=SCOPES, revoked_at=None)
    found = await key_lookups.select_by_digests(connection, [row["digest"]])
    assert found[row["digest"]] == Principal(
        project_id=row["project_id"],
        key_id=row["id"],
        name=row["name"],
        scopes=frozenset({Scope.READ, Scope.WORK}),
        queues=frozenset(row["queues"]),
        expires_at=row["expires_at"],
    )


async def test_input_reads_back(connection: Connection) -> None:
    job = await job_row(connection)
    row = await distinct.insert(connection, tables.inputs, **of_job(job))
    assert await inputs.select_of_job(connection, JobRef(job["project_id"], job["id"])) == Held(
        stored=made_of(StoredInput, row), dropped_at=row["dropped_at"], state=JobState.RUNNING, token=job["token"]
    )
    chunk = await distinct.insert(connection, tables.input_chunks)
    place = chunk["project_id"], chunk["upload_id"], chunk["n"]
    assert await inputs.select_chunk(connection, *place) == chunk["data"]


async def test_idempotency_record_reads_back(connection: Connection) -> None:
    row = await distinct.insert(connection, tables.idempotency_records)
    key = RecordKey(row["project_id"], row["route"], row["key"])
    assert await idempotency.select(connection, [key]) == {key: made_of(IdempotencyRecord, row)}
    assert await idempotency.select_creations(connection, [key]) == {key: made_of(CreationRecord, row)}
