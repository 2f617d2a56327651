"""A transaction that a test rolls back: statement tests share one database and leave nothing in it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from app.db.connection import Connection
from app.db.engine import Database, make_engine


@pytest_asyncio.fixture(scope="session")
async def shared_database(create_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Database]:
    """A database in which nothing is ever committed."""
    opened = Database(make_engine(await create_database(), pool_size=2))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def connection(shared_database: Database) -> AsyncIterator[Connection]:
    """A transaction of the test's own."""
    async with shared_database.connection() as opened:
        transaction = opened.driver.transaction()
        await transaction.start()
        yield opened
        await transaction.rollback()
