"""A database that was restored from a dump into another cluster: nobody is left in silence, and no history is news."""

import asyncio
import logging
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.cli.database import note_cluster
from app.db.epochs import compare_cluster
from app.db.opening import asyncpg_dsn
from app.embedded import EmbeddedPostgres, binaries
from tests.conftest import CreateDatabase, StartService
from tests.streams import Stream, streamed

LEAD = 3_000
"""Transactions by which the first cluster is ahead of the other one."""


async def run(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(asyncpg_dsn(url))
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def next_number(url: str) -> int:
    """The number of the next transaction of a cluster."""
    return int(await run(url, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))


async def use_numbers(url: str, count: int) -> None:
    await run(url, f"DO $$ BEGIN FOR n IN 1..{count} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")


@pytest_asyncio.fixture
async def other_cluster(room: Path, server: EmbeddedPostgres, database_url: str) -> AsyncIterator[str]:
    """A new cluster of the same version, whose transactions have had fewer numbers by far."""
    with EmbeddedPostgres(room / f"other-{uuid4().hex[:8]}", bindir=server._bindir) as other:
        await use_numbers(database_url, max(0, await next_number(other.url) + LEAD - await next_number(database_url)))
        yield other.url


@pytest.fixture
def restore(server: EmbeddedPostgres, database_url: str) -> Callable[[str], None]:
    """Restore the test's database from a dump into another one."""
    programs = server._bindir or binaries._find()

    def restore(url: str) -> None:
        dump: list[str | Path] = [programs / "pg_dump", "--no-owner", "--dbname", asyncpg_dsn(database_url)]
        dumped = subprocess.run(dump, check=True, capture_output=True).stdout
        load: list[str | Path] = [
            programs / "psql",
            "--quiet",
            "--set",
            "ON_ERROR_STOP=1",
            "--dbname",
            asyncpg_dsn(url),
        ]
        subprocess.run(load, input=dumped, check=True, capture_output=True)

    return restore


async def create(api: httpx.AsyncClient) -> str:
    answer = await api.post("/v1/jobs", json={"type": "t"})
    assert answer.status_code == 201
    return str(answer.json()["id"])


async def events_until(stream: Stream, job_id: str) -> list[str]:
    """The jobs of the events that come, up to the first one of this job."""
    found: list[str] = []
    while job_id not in found:
        name, data, _ = await stream.next()
        assert name == "job.created"
        found.append(data["job_id"])
    return found


async def test_readers_of_a_restored_database_begin_anew_and_hear_what_is_new(
    start_service: StartService,
    other_cluster: str,
    restore: Callable[[str], None],
) -> None:
    first = await start_service()
    async with first.client() as api:
        old = [await create(api) for _ in range(3)]
        history = f"/v1/jobs/{old[0]}/events"
        event_id = (await api.get(history)).json()["events"][0]["id"]
    restore(other_cluster)
    second = await start_service(JOBTRACK_DATABASE_URL=other_cluster)
    async with second.client() as api:
        refused = await api.get(history, params={"cursor": event_id})
        assert (refused.status_code, refused.json()["code"]) == (410, "cursor_expired")
        resumed = {"Last-Event-ID": event_id}
        async with streamed(api, f"/v1/jobs/{old[0]}/stream", headers=resumed) as stream:
            assert (await stream.next())[:2] == ("reset", {"reason": "other_cluster"})
            assert (await stream.next())[0] == "snapshot"
        async with streamed(api, "/v1/events", headers=resumed) as stream:
            assert (await stream.next())[:2] == ("reset", {"reason": "other_cluster"})
            name, _, begun = await stream.next()
            assert name == "snapshot"
            new = await create(api)
            assert await events_until(stream, new) == [new]
            # The numbers pass those of the old cluster, and its events lie behind the reader then.
            await use_numbers(other_cluster, 2 * LEAD)
            latest = await create(api)
            assert await events_until(stream, latest) == [latest]
        async with streamed(api, "/v1/events", headers={"Last-Event-ID": begun or ""}) as stream:
            assert await events_until(stream, latest) == [new, latest]
        assert [event["type"] for event in (await api.get(history)).json()["events"]] == ["job.created"]
    assert not (await compare_cluster(other_cluster)).is_new


async def test_upgrade_on_the_way_to_another_cluster_is_noticed(
    start_service: StartService, other_cluster: str, database_url: str, restore: Callable[[str], None]
) -> None:
    """A dump of the version before names no cluster: the numbers of its events do."""
    service = await start_service()
    async with service.client() as api:
        await create(api)
    await run(database_url, "UPDATE epochs SET epoch = 0, system_identifier = NULL")
    assert not (await compare_cluster(database_url)).is_new
    await run(database_url, "UPDATE epochs SET system_identifier = NULL")
    restore(other_cluster)
    assert (await compare_cluster(other_cluster)).is_new
    assert not (await compare_cluster(other_cluster)).is_new


async def test_two_restores_of_one_dump_are_two_and_many_processes_find_one(database_url: str) -> None:
    epochs = set()
    for _ in range(2):
        await run(database_url, "UPDATE epochs SET epoch = 0, system_identifier = 1")
        found = await asyncio.gather(*[compare_cluster(database_url) for _ in range(5)])
        assert [comparison.is_new for comparison in found].count(True) == 1
        epochs.add(await run(database_url, "SELECT epoch FROM epochs"))
    assert len(epochs - {0}) == 2


async def test_new_events_of_a_copy_without_sequences_are_numbered_after_the_old(database_url: str) -> None:
    """Logical replication copies rows and no sequences."""
    await run(
        database_url,
        "INSERT INTO events (project_id, job_id, id, type, at, attempt, to_state) OVERRIDING SYSTEM VALUE "
        "VALUES (gen_random_uuid(), gen_random_uuid(), 1000, 'job.created', now(), 0, 'pending')",
    )
    await run(database_url, "UPDATE epochs SET system_identifier = 1")
    await compare_cluster(database_url)
    assert await run(database_url, "SELECT nextval(pg_get_serial_sequence('events', 'id'))") == 1001


async def test_role_that_may_not_read_the_identifier_starts_with_one_warning(
    create_database: CreateDatabase, server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    url = await create_database()
    name = url.partition("@/")[2].partition("?")[0]
    await run(
        server.admin_url.replace("@/postgres?", f"@/{name}?"),
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
    )
    with caplog.at_level(logging.WARNING, "jobtrack"):
        await asyncio.to_thread(note_cluster, url)
    assert [record.message.count("pg_control_system") for record in caplog.records] == [1]
