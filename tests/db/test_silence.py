"""A database that goes silent, without a word: calls end in time, and the next one is served."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import asyncpg
import pytest

from app.db import deadlines
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.db.opening import open_connection
from app.db.projection import Value
from app.db.statement import Statement
from app.domain.errors import UnansweredError, UnavailableError
from tests import sql
from tests.tcp_proxy import Mode, TcpProxy, tcp_proxy

OWN_PID = Statement("SELECT :returned", returns=Value(int, "pg_backend_pid()"))
ANSWER_SECONDS, UNIT_SECONDS = 0.6, 1.1
BOUND = 20
"""Seconds in which everything below ends on any machine; without a deadline it never does."""
SILENT = (Mode.BLACKHOLE, Mode.HALF_AN_ANSWER)


@dataclass(frozen=True)
class Behind:
    """A database behind a proxy."""

    proxy: TcpProxy
    database: Database
    url: str


@pytest.fixture
async def behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Behind]:
    monkeypatch.setattr(deadlines, "ANSWER_SECONDS", ANSWER_SECONDS)
    monkeypatch.setattr(deadlines, "UNIT_SECONDS", UNIT_SECONDS)
    async with tcp_proxy(database_url) as (proxy, url):
        database = Database(make_engine(url, pool_size=3))
        yield Behind(proxy, database, url)
        proxy.set_mode(Mode.PASS)
        await database.close()


async def one(connection: Connection) -> object:
    return await sql.fetch_value(connection, "SELECT 1")


async def fill_pool(database: Database) -> None:
    """Open all three connections."""
    async with database.connection() as a, database.connection() as b, database.connection() as c:
        assert [await one(connection) for connection in (a, b, c)] == [1, 1, 1]


async def ended(*units: object) -> list[object]:
    async with asyncio.timeout(BOUND):
        return await asyncio.gather(*units, return_exceptions=True)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("mode", SILENT)
async def test_units_on_silent_connections_are_repeated_on_new_ones_or_end_and_none_stays_in_the_pool(
    behind: Behind, mode: Mode
) -> None:
    database = behind.database
    await fill_pool(database)
    assert behind.proxy.set_mode(mode) == 3

    outcomes = await ended(*(database.read(one) for _ in range(3)), database.write(one))

    assert all(outcome == 1 or isinstance(outcome, UnavailableError) for outcome in outcomes), outcomes
    # One unit meets no second silent connection after the first: those as old as it are left.
    assert await ended(database.read(one), database.write(one)) == [1, 1]
    assert database.oldest_unit_seconds() == 0
    assert database.connections_in_use() == 0


@pytest.mark.parametrize("mode", SILENT)
async def test_one_silent_connection_makes_the_pool_replace_all_as_old(behind: Behind, mode: Mode) -> None:
    """Each would cost its unit the whole deadline."""
    database = behind.database
    await fill_pool(database)
    modes = iter([mode])

    async def silenced_once(connection: Connection) -> object:
        for silence in modes:
            behind.proxy.set_mode(silence)
        return await one(connection)

    # The second try has a new connection, and the first waits for no answer to its rollback.
    assert await ended(database.write(silenced_once)) == [1]
    tries = 0

    async def counted(connection: Connection) -> object:
        nonlocal tries
        tries += 1
        return await one(connection)

    assert await ended(*(database.read(counted) for _ in range(3))) == [1, 1, 1]
    assert tries == 3


async def test_a_unit_that_is_only_long_ends_at_its_deadline_and_costs_the_others_no_connection(behind: Behind) -> None:
    """A project in excess has such ones: the server was at work all the while."""
    database = behind.database
    await fill_pool(database)

    async def pid(connection: Connection) -> object:
        return await connection.fetchone(OWN_PID, None)

    async def long(connection: Connection) -> None:
        while True:
            await connection.fetchone(OWN_PID, None)

    async with database.connection() as one, database.connection() as two:
        kept = [await pid(one), await pid(two)]
        assert [type(error) for error in await ended(database.write(long))] == [UnansweredError]
    async with database.connection() as one, database.connection() as two:
        assert sorted([await pid(one), await pid(two)]) == sorted(kept)  # type: ignore[type-var]


async def test_a_database_that_answers_nothing_at_all_ends_each_unit_at_its_deadline(behind: Behind) -> None:
    await fill_pool(behind.database)
    behind.proxy.set_mode(Mode.BLACKHOLE, new_ones=True)
    units = [behind.database.read(one), behind.database.write(one)]
    assert [type(error) for error in await ended(*units)] == [UnansweredError, UnansweredError]
    behind.proxy.set_mode(Mode.PASS)
    assert await ended(behind.database.write(one)) == [1]


@pytest.mark.parametrize("answer_seconds", [ANSWER_SECONDS, 2 * UNIT_SECONDS])
async def test_a_commit_without_an_answer_may_have_happened(
    behind: Behind, answer_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it ran into the limit of a statement or into that of its unit."""
    monkeypatch.setattr(deadlines, "ANSWER_SECONDS", answer_seconds)

    async def work(connection: Connection) -> None:
        await sql.execute(connection, "SELECT 1")
        behind.proxy.set_mode(Mode.BLACKHOLE)

    ran = await ended(behind.database.write(work))
    assert isinstance(ran[0], UnavailableError)
    assert "may have been made" in ran[0].message


@pytest.mark.parametrize("mode", SILENT)
@pytest.mark.parametrize("answer_seconds", [ANSWER_SECONDS, 2 * UNIT_SECONDS])
async def test_a_statement_of_its_own_without_an_answer_may_have_happened_and_is_not_sent_again(
    behind: Behind, answer_seconds: float, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "ANSWER_SECONDS", answer_seconds)
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        behind.proxy.set_mode(mode)
        await connection.execute(Statement("SELECT 1"), None)

    ran = await ended(behind.database.write_at_once(work))
    assert isinstance(ran[0], UnansweredError)
    assert "may have been made" in ran[0].message
    assert tries == 1
    assert await ended(behind.database.write_at_once(one)) == [1]


async def test_a_slow_network_is_only_slow(behind: Behind) -> None:
    await fill_pool(behind.database)
    behind.proxy.set_mode(Mode.SLOW, new_ones=True)
    assert await ended(behind.database.read(one), behind.database.write(one)) == [1, 1]


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Backends that a test has stopped; they go on at its end."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


async def test_backends_that_are_stopped_hold_up_no_unit_but_their_own(behind: Behind, stopped: list[int]) -> None:
    async def stop_yourself(connection: Connection) -> object:
        stopped.append(int(str(await sql.fetch_value(connection, "SELECT pg_backend_pid()"))))
        os.kill(stopped[-1], signal.SIGSTOP)
        return await one(connection)

    failed = await ended(*(behind.database.read(stop_yourself) for _ in range(3)))
    assert all(isinstance(error, UnavailableError) for error in failed), failed
    assert len(stopped) >= 3
    assert await ended(behind.database.read(one), behind.database.write(one)) == [1, 1]


async def test_maintenance_has_longer_for_a_unit_and_is_not_counted_as_stuck(behind: Behind) -> None:
    async def long(connection: Connection) -> object:
        for _ in range(3):
            await sql.execute(connection, "SELECT pg_sleep(0.4)")
        return behind.database.oldest_unit_seconds()

    assert await ended(behind.database.for_maintenance().read(long)) == [0.0]
    assert isinstance((await ended(behind.database.read(long)))[0], UnansweredError)


async def test_the_kernel_watches_the_sockets_of_the_pool_and_of_the_feed(behind: Behind) -> None:
    opened = await open_connection(behind.url)
    async with behind.database.connection() as connection:
        for driver in (opened, connection.driver):
            assert option(driver, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert option(driver, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert option(driver, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
            assert option(driver, socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert option(driver, socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    await opened.close()


def option(driver: "asyncpg.Connection[asyncpg.Record]", level: int, name: int) -> int:
    held: socket.socket = driver._transport.get_extra_info("socket")  # type: ignore[attr-defined]
    return held.getsockopt(level, name)
