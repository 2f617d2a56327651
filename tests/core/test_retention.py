"""What is deleted or has grown old goes in steps, whoever takes them."""

import asyncio
from typing import Any

import pytest

from app.core import key_bound, retention
from app.core.retention import Retention
from app.db import queue_names, surplus_keys
from app.db.engine import Database
from app.db.statement import Statement
from app.domain.errors import NotFoundError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.item import NewItem
from app.domain.job import NewJob
from app.domain.job_filter import JobFilter
from app.runtime import Runtime
from app.web.deps import Services
from tests import factories, sql
from tests.calls import PROJECT, completed, count, create, finish


async def test_deletion_removes_every_row_in_bounded_steps(
    runtime: Runtime,
    core: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "ROWS_A_STEP", 10)
    kept = await create(core, items=(NewItem(key="kept"),))
    job = await create(core, items=tuple(NewItem(key=f"k{n}") for n in range(35)), labels={"a": "b"}, payload=[1])
    await core.jobs.cancel(PROJECT, job.id, by=None)
    await core.jobs.delete(PROJECT, job.id)
    with pytest.raises(NotFoundError):
        await core.jobs.get(PROJECT, job.id)
    steps = [Retention(runtime.database, lambda _: None) for _ in range(2)]
    assert sum(await asyncio.gather(*map(finish, steps))) >= 4
    assert await count(runtime.database, "deletions") == 0
    assert await count(runtime.database, "items") == 1
    for table in ("payloads", "job_labels"):
        assert await count(runtime.database, table) == 0
    assert [j.id for j in (await core.lists.page(PROJECT, JobFilter())).jobs] == [kept.id]


async def test_ended_jobs_go_when_their_queue_keeps_them_no_longer(
    runtime: Runtime,
    core: Services,
) -> None:
    old, young = await completed(core, queue="q"), await completed(core, queue="q")
    other, live = await completed(core, queue="kept-for-ever"), await create(core, queue="q")
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE queues SET retention_seconds = 600 WHERE name = 'q'")
        await sql.execute(
            connection,
            "UPDATE jobs SET completed_at = now() - interval '1 hour' WHERE id = ANY (:ids)",
            ids=[old.id, other.id],
        )
    await finish(Retention(runtime.database, lambda _: None))
    left = {job.id for job in (await core.lists.page(PROJECT, JobFilter())).jobs}
    assert left == {young.id, live.id, other.id}


async def test_idempotency_keys_are_forgotten_after_a_day(runtime: Runtime, core: Services) -> None:
    for key in ("old", "new"):
        await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"), idempotency=Idempotency("r", key, b"x"))
    async with runtime.database.transaction() as connection:
        await sql.execute(
            connection, "UPDATE idempotency_records SET created_at = now() - interval '25 hours' WHERE key = 'old'"
        )
    await finish(Retention(runtime.database, lambda _: None))
    assert await count(runtime.database, "idempotency_records") == 1


async def test_project_has_no_more_keys_than_it_may_and_the_newest_are_kept(
    runtime: Runtime, core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with runtime.database.transaction() as connection:
        greedy, other = [await factories.project(connection, name) for name in ("greedy", "other")]
    for project_id, keys in ((greedy, 25), (other, 5)):
        for n in range(keys):
            job = NewJob(id=new_id(), type="t")
            await core.jobs.create(project_id, job, idempotency=Idempotency("r", f"{n:02}", b"x"))
    monkeypatch.setattr(key_bound, "MOST_KEYS", 9)
    monkeypatch.setattr(key_bound, "SLICE", 5)
    monkeypatch.setattr(key_bound, "FORGOTTEN_A_STEP", 4)
    steps = [Retention(runtime.database, lambda _: None) for _ in range(2)]
    assert sum(await asyncio.gather(*map(finish, steps))) > 10, "in steps"
    async with runtime.database.connection() as connection:
        rows = await sql.fetch(connection, "SELECT project_id, key FROM idempotency_records ORDER BY key")
    left = {project_id: [row.key for row in rows if row.project_id == project_id] for project_id in (greedy, other)}
    # The bound, give or take a slice; the other project's lie before them.
    assert left == {greedy: [f"{n:02}" for n in range(15, 25)], other: [f"{n:02}" for n in range(5)]}


async def test_keys_are_counted_once_a_minute(database: Database) -> None:
    steps = Retention(database, lambda _: None)
    counted = 0

    def note(statement: Statement[Any, Any]) -> None:
        nonlocal counted
        counted += statement is surplus_keys.COUNT

    steps._database.on_statement = note
    for _ in range(3):
        await steps.step()
    assert counted == 1


async def test_nothing_to_remove_is_one_question(database: Database) -> None:
    steps = Retention(database, lambda _: None)
    assert not await steps.step(), "the first also looks for uploads that nobody has"
    asked: list[Statement[Any, Any]] = []
    steps._database.on_statement = asked.append
    assert not await steps.step()
    assert len(asked) == 1


async def test_queues_that_nobody_needs_are_forgotten_after_an_hour(
    runtime: Runtime, core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "QUEUES_A_STEP", 2)
    await completed(core, queue="ended")
    await create(core, queue="live")
    rules = {
        "paused": "paused = true",
        "limited": "concurrency_limit = 1",
        "retried": "retry_delay_seconds = 1, retry_factor = 1, retry_max_delay_seconds = 1",
        "retained": "retention_seconds = 60",
    }
    idle = [f"idle-{n}" for n in range(5)]
    async with runtime.database.transaction() as connection:
        for name in (*rules, *idle, "young"):
            await factories.queue(connection, PROJECT, name)
        for name, rule in rules.items():
            await sql.execute(connection, f"UPDATE queues SET {rule} WHERE name = '{name}'")
        await sql.execute(connection, "UPDATE queues SET updated_at = now() - interval '61 min' WHERE name <> 'young'")

    await finish(Retention(runtime.database, lambda _: None))

    left = {view.name for view in (await core.queues.page(PROJECT))[0]}
    assert left == {"ended", "live", "young", *rules}


async def test_a_queue_that_got_a_job_or_a_rule_since_the_look_is_kept(runtime: Runtime, core: Services) -> None:
    names = [queue_names.QueueName(PROJECT, name) for name in ("got-a-job", "got-a-rule", "idle")]
    async with runtime.database.transaction() as connection:
        for name in names:
            await factories.queue(connection, PROJECT, name.name)
    async with runtime.database.connection() as connection:
        looked = await queue_names.look(connection, queue_names.NO_QUEUE, limit=100, age_seconds=0)
    assert {row.queue for row in looked if row.idle} >= set(names)
    await create(core, queue="got-a-job")
    async with runtime.database.transaction() as connection:
        await sql.execute(connection, "UPDATE queues SET paused = true WHERE name = 'got-a-rule'")

    assert await runtime.database.write(queue_names.forget, names) == 1
