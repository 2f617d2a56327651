"""Statements as the driver gets them, and units of work whose connection is lost or whose plan is outdated."""

import asyncio
import contextlib
from dataclasses import dataclass

import asyncpg
import pytest

from app.db.connection import Connection
from app.db.engine import WRITE_TRIES, Database, make_engine
from app.db.opening import asyncpg_dsn
from app.db.parameters import Int4, Values
from app.db.projection import Value
from app.db.statement import Statement
from app.domain.errors import UnavailableError
from tests import sql

OWN_PID = Statement("SELECT :returned", returns=Value(int, "pg_backend_pid()"))


@dataclass
class Some:
    count: Int4


async def test_one_row_is_one_row(connection: Connection) -> None:
    some = Statement("SELECT :returned FROM generate_series(1, :count) AS n", Values(Some), Value(int, "n"))
    assert await connection.fetchrow(some, Some(0)) is None
    assert await connection.fetchrow(some, Some(1)) == 1
    with pytest.raises(LookupError):
        await connection.fetchone(some, Some(0))
    with pytest.raises(LookupError):
        await connection.fetchrow(some, Some(2))


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ('{"a": [1.0, 12345678901234567890, null]}', {"a": [1.0, 12345678901234567890, None]}),
        ('"\\ud800"', "\ud800"),
        ("1e400", float("inf")),
    ],
    ids=["usual", "half a surrogate pair", "more than a number holds"],
)
async def test_json_is_read_as_the_standard_library_reads_it(connection: Connection, stored: str, read: object) -> None:
    assert await sql.fetch_value(connection, "SELECT CAST(CAST(:stored AS text) AS json)", stored=stored) == read


async def test_deep_json_is_read(connection: Connection) -> None:
    stored = "[" * 500 + "]" * 500
    read = await sql.fetch_value(connection, "SELECT CAST(CAST(:stored AS text) AS json)", stored=stored)
    for _ in range(499):
        [read] = read
    assert read == []


async def test_changes_are_counted_in_rows(connection: Connection) -> None:
    assert await connection.execute(Statement("CREATE TEMPORARY TABLE numbers (n integer)"), None) == 0
    add = Statement("INSERT INTO numbers SELECT generate_series(1, :count)", Values(Some))
    assert await connection.execute(add, Some(3)) == 3
    assert await connection.execute(Statement("DELETE FROM numbers WHERE n > 1"), None) == 2


async def test_a_pool_whose_connections_were_all_cut_serves_the_next_call(
    database: Database, database_url: str
) -> None:
    """More than there are tries: the next try must not meet the next dead one."""

    async def pid(connection: Connection) -> int:
        return await connection.fetchone(OWN_PID, None)

    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(database.connection()) for _ in range(WRITE_TRIES + 2)]
        before = {await pid(connection) for connection in opened}
    killer = await asyncpg.connect(asyncpg_dsn(database_url))
    await killer.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(before))
    assert await database.read(pid) not in before
    assert await database.write(pid) not in before
    await killer.close()


async def test_a_statement_of_its_own_is_not_sent_on_a_connection_that_ended_in_the_pool(
    database: Database, database_url: str
) -> None:
    async def pid(connection: Connection) -> int:
        return await connection.fetchone(OWN_PID, None)

    async with database.connection() as connection:
        before, driver = await pid(connection), connection.driver
    killer = await asyncpg.connect(asyncpg_dsn(database_url))
    await killer.execute("SELECT pg_terminate_backend($1)", before)
    async with asyncio.timeout(10):
        while not driver.is_closed():
            await asyncio.sleep(0)
    assert await database.write_at_once(pid) != before
    await killer.close()


DYING = Statement("SELECT :returned", returns=Value(bool, "pg_terminate_backend(pg_backend_pid(), 5000)"))


async def test_a_statement_of_its_own_whose_connection_ends_may_have_happened_and_is_not_sent_again(
    database: Database,
) -> None:
    tries = 0

    async def die(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.fetch(DYING, None)

    with pytest.raises(UnavailableError, match="may have been made"):
        await database.write_at_once(die)
    assert tries == 1


async def test_a_statement_of_its_own_that_the_server_refused_for_the_moment_is_sent_again(database: Database) -> None:
    async with database.transaction() as connection:
        await sql.execute(
            connection,
            """CREATE FUNCTION refuse(state text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
               RAISE 'not now' USING ERRCODE = state; END $$""",
        )
    tries = 0

    async def refused(connection: Connection, state: str) -> None:
        nonlocal tries
        tries += 1
        await connection.execute(Statement(f"SELECT refuse('{state}')"), None)

    with pytest.raises(UnavailableError, match="not available"):
        await database.write_at_once(refused, "40P01")
    assert tries == WRITE_TRIES
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.write_at_once(refused, "23505")
    assert tries == WRITE_TRIES + 1


async def test_what_the_server_did_is_not_done_again_because_its_answer_could_not_be_read(database: Database) -> None:
    async def misread(connection: Connection) -> None:
        await connection.execute(Statement("SELECT 1"), None)
        raise KeyError("a state that nobody knows")

    with pytest.raises(UnavailableError, match="may have been made"):
        await database.write_at_once(misread)


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_migration_while_serving_costs_no_error(database_url: str, prepared: bool) -> None:
    """A prepared statement is made for the table as it was; the unit that finds out is repeated."""
    serving = Database(make_engine(database_url, pool_size=1, prepared=prepared))

    async def read(connection: Connection) -> tuple[object, ...]:
        return await sql.fetch_one(connection, "SELECT * FROM numbers WHERE n = :n", n=1)

    async with serving.transaction() as connection:
        await sql.execute(connection, "CREATE TABLE numbers (n integer)")
        await sql.execute(connection, "INSERT INTO numbers VALUES (1)")
    assert await serving.write(read) == (1,)
    migrating = await asyncpg.connect(asyncpg_dsn(database_url))
    await migrating.execute("ALTER TABLE numbers ADD COLUMN text text DEFAULT 'new'")
    assert await serving.write(read) == (1, "new")
    await migrating.execute("ALTER TABLE numbers ALTER COLUMN text TYPE varchar(9)")
    assert await serving.read(read) == (1, "new")
    await migrating.close()
    await serving.close()


async def test_a_transaction_is_undone_as_a_whole(database: Database) -> None:
    async with database.transaction() as connection:
        await sql.execute(connection, "CREATE TABLE numbers (n integer)")

    async def work(connection: Connection) -> None:
        await sql.execute(connection, "INSERT INTO numbers VALUES (1)")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    assert await database.read(lambda connection: sql.fetch_value(connection, "SELECT count(*) FROM numbers")) == 0


async def test_every_statement_is_counted(database_url: str) -> None:
    seen: list[str] = []
    counting = Database(
        make_engine(database_url, pool_size=1), on_statement=lambda statement: seen.append(statement.sql)
    )

    async def work(connection: Connection) -> None:
        await connection.fetch(Statement("SELECT 1"), None)
        await connection.execute(Statement("SELECT 2"), None)

    await counting.write(work)
    await counting.close()
    assert seen == ["SELECT 1", "SELECT 2"]
