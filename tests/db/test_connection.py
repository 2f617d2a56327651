"""Statements as the driver gets them, and units of work whose connection is lost or whose plan is outdated."""

import contextlib

import asyncpg
import pytest

from app.db.connection import Connection, Row, Statement
from app.db.engine import WRITE_TRIES, Database, asyncpg_dsn, make_engine

OWN_PID = Statement("SELECT pg_backend_pid()")


def test_names_become_numbers_and_casts_stay() -> None:
    statement = Statement("SELECT :b::text, :a, ':' || :b, now()::date")
    assert statement.sql == "SELECT $1::text, $2, ':' || $1, now()::date"
    assert statement.arguments({"a": 1, "b": 2, "c": 3}) == [2, 1]
    with pytest.raises(KeyError):
        statement.arguments({"a": 1})


async def test_rows_have_their_columns_as_attributes(connection: Connection) -> None:
    row = await connection.fetchone(Statement("SELECT 1 AS one, 'x' AS two"))
    assert (row.one, row.two, tuple(row)) == (1, "x", (1, "x"))
    with pytest.raises(AttributeError):
        _ = row.three


async def test_one_row_is_one_row(connection: Connection) -> None:
    some = Statement("SELECT n FROM generate_series(1, CAST(:count AS integer)) AS n")
    assert await connection.fetchrow(some, {"count": 0}) is None
    assert await connection.fetchval(some, {"count": 0}) is None
    assert await connection.fetchval(some, {"count": 1}) == 1
    with pytest.raises(LookupError):
        await connection.fetchone(some, {"count": 0})
    with pytest.raises(LookupError):
        await connection.fetchrow(some, {"count": 2})


async def test_changes_are_counted_in_rows(connection: Connection) -> None:
    assert await connection.execute(Statement("CREATE TEMPORARY TABLE numbers (n integer)")) == 0
    add = Statement("INSERT INTO numbers SELECT generate_series(1, CAST(:count AS integer))")
    assert await connection.execute(add, {"count": 3}) == 3
    assert await connection.execute(Statement("DELETE FROM numbers WHERE n > 1")) == 2


async def test_a_pool_whose_connections_were_all_cut_serves_the_next_call(
    database: Database, database_url: str
) -> None:
    """More than there are tries: the next try must not meet the next dead one."""

    async def pid(connection: Connection) -> int:
        return int(await connection.fetchval(OWN_PID))

    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(database.connection()) for _ in range(WRITE_TRIES + 2)]
        before = {await pid(connection) for connection in opened}
    killer = await asyncpg.connect(asyncpg_dsn(database_url))
    await killer.execute("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid", list(before))
    assert await database.read(pid) not in before
    assert await database.write(pid) not in before
    await killer.close()


@pytest.mark.parametrize("prepared", [True, False])
async def test_a_migration_while_serving_costs_no_error(database_url: str, prepared: bool) -> None:
    """A prepared statement is made for the table as it was; the unit that finds out is repeated."""
    serving = Database(make_engine(database_url, pool_size=1, prepared=prepared))
    whole = Statement("SELECT * FROM numbers WHERE n = :n")

    async def read(connection: Connection) -> Row:
        return await connection.fetchone(whole, {"n": 1})

    async with serving.transaction() as connection:
        await connection.execute(Statement("CREATE TABLE numbers (n integer)"))
        await connection.execute(Statement("INSERT INTO numbers VALUES (1)"))
    assert tuple(await serving.write(read)) == (1,)
    migrating = await asyncpg.connect(asyncpg_dsn(database_url))
    await migrating.execute("ALTER TABLE numbers ADD COLUMN text text DEFAULT 'new'")
    assert tuple(await serving.write(read)) == (1, "new")
    await migrating.execute("ALTER TABLE numbers ALTER COLUMN text TYPE varchar(9)")
    assert tuple(await serving.read(read)) == (1, "new")
    await migrating.close()
    await serving.close()


async def test_a_transaction_is_undone_as_a_whole(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(Statement("CREATE TABLE numbers (n integer)"))

    async def work(connection: Connection) -> None:
        await connection.execute(Statement("INSERT INTO numbers VALUES (1)"))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await database.write(work)
    count = Statement("SELECT count(*) FROM numbers")
    assert await database.read(lambda connection: connection.fetchval(count)) == 0


async def test_every_statement_is_counted(database_url: str) -> None:
    seen: list[str] = []
    counting = Database(
        make_engine(database_url, pool_size=1), on_statement=lambda statement: seen.append(statement.sql)
    )

    async def work(connection: Connection) -> None:
        await connection.fetch(Statement("SELECT 1"))
        await connection.execute(Statement("SELECT 2"))

    await counting.write(work)
    await counting.close()
    assert seen == ["SELECT 1", "SELECT 2"]
