"""Readiness says which check fails."""

import asyncio

import pytest

from app.core import health
from app.core.health import Health
from app.db import migrate
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from tests import sql


async def run(database: Database, statement: str) -> None:
    async def work(connection: Connection) -> None:
        await sql.execute(connection, statement)

    await database.write(work)


async def test_a_migrated_database_is_ready(database: Database) -> None:
    assert await Health(database).failures() == {}


async def test_a_database_that_was_never_migrated_is_not(database: Database) -> None:
    await run(database, "DROP TABLE alembic_version")
    assert set(await Health(database).failures()) == {"migrations"}


async def test_a_newer_schema_lets_the_old_version_go_on(database: Database) -> None:
    await run(database, "UPDATE alembic_version SET version_num = '9999'")
    assert await Health(database).failures() == {}


async def test_a_draining_process_is_not_ready(database: Database) -> None:
    health = Health(database)
    health.draining = True
    assert set(await health.failures()) == {"draining"}


async def test_a_database_that_is_away_is_named() -> None:
    away = Database(make_engine("postgresql://nobody@127.0.0.1:1/none", pool_size=1))
    assert set(await Health(away).failures()) == {"database"}
    await away.close()


async def test_a_unit_that_is_stuck_shows_though_other_connections_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Health(database)
    assert await checked.failures() == {}
    inside, leave = asyncio.Event(), asyncio.Event()

    async def stuck(_: Connection) -> None:
        inside.set()
        await leave.wait()

    unit = asyncio.create_task(database.read(stuck))
    await inside.wait()
    assert await checked.failures() == {}, "not for long yet"
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.0)
    assert set(await checked.failures()) == {"database"}
    leave.set()
    await unit
    assert await checked.failures() == {}


async def test_however_many_ask_one_check_is_in_flight(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a database that is slow each would hold a connection."""
    monkeypatch.setattr(health, "TIMEOUT_SECONDS", 0.01)
    checked, leave = Health(database), asyncio.Event()
    checks = 0

    async def slow(_: Connection) -> frozenset[str]:
        nonlocal checks
        checks += 1
        await leave.wait()
        return frozenset({"9999"})

    monkeypatch.setattr(migrate, "select_revisions", slow)
    for _ in range(3):
        found = await asyncio.gather(*(checked.failures() for _ in range(4)))
        assert all(set(failures) == {"database"} for failures in found)
    # A slow machine has not got to it within three times ten milliseconds.
    async with asyncio.timeout(10):
        while not checks:
            await checked.failures()
    assert checks == 1
    leave.set()
    async with asyncio.timeout(10):
        while await checked.failures():
            await asyncio.sleep(0)
    assert checks == 1
