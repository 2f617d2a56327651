"""Reruns of jobs with very many items: copied by whichever process there is, to the end."""

import asyncio
from uuid import UUID

import httpx
import pytest

from app.db.engine import Database
from app.domain.states import JobState
from tests import factories, sql
from tests.conftest import StartService
from tests.factories import Made
from tests.races.calls import claim, post

ITEMS = """
    INSERT INTO items (project_id, job_id, position, key, name, status, updated_at)
    SELECT project_id, id, n, 'file-' || n, 'File ' || n, CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'completed' END, now()
    FROM jobs, generate_series(CAST(:first AS int), CAST(:last AS int)) n WHERE id = :id
"""
COUNTS = """
    UPDATE jobs SET items_total = :items, items_failed = CAST(:items AS bigint) / 2,
        items_processed = :items - CAST(:items AS bigint) / 2 WHERE id = :id
"""
COPIED = """
    SELECT count(*), max(position), count(*) FILTER (WHERE key <> 'file-' || position OR status <> 'queued')
    FROM items WHERE job_id = :id
"""
SLICE = 50_000
"""Items that one statement inserts within its time."""


async def ended_job(database: Database, items: int) -> Made:
    """A job of the services' project that has ended with items, half of which failed."""
    async with database.transaction() as connection:
        project_id = await sql.fetch_value(connection, "SELECT project_id FROM keys LIMIT 1")
        job = await factories.job(connection, project_id, state=JobState.COMPLETED_WITH_FAILURES)
        await sql.execute(connection, COUNTS, id=job.id, items=items)
        for first in range(1, items + 1, SLICE):
            await sql.execute(connection, ITEMS, id=job.id, first=first, last=min(first + SLICE - 1, items))
        return job


async def rerun(client: httpx.AsyncClient, job: Made, *, only_failed_items: bool = False) -> UUID:
    """Rerun it; returns the new job, which knows how many items it will have."""
    made = await post(client, f"/v1/jobs/{job.id}/rerun", only_failed_items=only_failed_items)
    assert made["status"] == "pending"
    return UUID(made["id"])


async def claimed(client: httpx.AsyncClient, *, seconds: float) -> dict[str, object]:
    async with asyncio.timeout(seconds):
        while not (jobs := await claim(client, "default", wait=20)):
            pass
    assert len(jobs) == 1
    return jobs[0]


@pytest.mark.long
async def test_copy_is_finished_by_another_process_when_the_first_is_killed(
    database: Database, start_service: StartService
) -> None:
    first, second = [await start_service() for _ in range(2)]
    original = await ended_job(database, 60_000)
    async with first.client() as client, second.client() as other:
        job_id = await rerun(client, original)
        assert not await claim(client, "default")
        async with database.connection() as connection, asyncio.timeout(20):
            begun = "SELECT copied FROM item_copies WHERE copied > 5000"
            while await sql.fetch_value(connection, begun) is None:
                await asyncio.sleep(0.01)
            first.kill()
            assert await sql.fetch_value(connection, "SELECT copied FROM item_copies") < 60_000
        taken = await claimed(other, seconds=60)
        assert (taken["id"], taken["counts"]["total"]) == (str(job_id), 60_000)  # type: ignore[index]
    async with database.connection() as connection:
        assert await sql.fetch_one(connection, COPIED, id=job_id) == (60_000, 60_000, 0)


@pytest.mark.long
async def test_rerun_of_a_million_items(database: Database, start_service: StartService) -> None:
    million = 1_000_000
    service, _ = [await start_service() for _ in range(2)]
    original = await ended_job(database, million)
    async with service.client() as client:
        job_id = await rerun(client, original)
        taken = await claimed(client, seconds=600)
        assert (taken["id"], taken["counts"]["total"]) == (str(job_id), million)  # type: ignore[index]
        async with database.connection() as connection:
            assert await sql.fetch_one(connection, COPIED, id=job_id) == (million, million, 0)
        # The failed ones alone, while the other is live, under a key.
        answer = await client.post(
            f"/v1/jobs/{original.id}/rerun", json={"only_failed_items": True}, headers={"Idempotency-Key": "failed"}
        )
        assert (answer.status_code, answer.json()["counts"]["total"]) == (201, million // 2)
        assert (await client.delete(f"/v1/jobs/{original.id}")).status_code == 204
        assert (await claimed(client, seconds=600))["id"] == answer.json()["id"]
    counted = "SELECT count(*) FROM items WHERE job_id = :id"
    async with database.connection() as connection:
        assert await sql.fetch_value(connection, counted, id=UUID(answer.json()["id"])) == million // 2
