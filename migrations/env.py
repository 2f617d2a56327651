"""How Alembic reaches the database: over asyncpg, in one transaction, and one process at a time.

`app.db.migrate` calls this with the database's URL as the attribute `url`. Nothing here imports `app`: a revision must
do next year what it did on the day it was written.
"""

import asyncio
from typing import Any

import asyncpg
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

LOCK_KEY = 0x6A6F6274
"""`jobt`: several processes may start at once, and all of them migrate."""

LOCK_TIMEOUT = "3s"
"""A statement that waits for a table's lock makes every later reader wait behind it: better to fail and retry."""


def _dsn(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else url


def _connect() -> Any:
    settings = {"application_name": "jobtrack-migrate", "timezone": "UTC"}
    url = _dsn(context.config.attributes["url"])
    return asyncpg.connect(url, statement_cache_size=0, server_settings=settings, timeout=10)


def _migrate(connection: Connection) -> None:
    with connection.begin():
        # Without a timeout, because whoever holds it is doing our work. It ends with the transaction, so that it works
        # behind a transaction-mode pooler and no crash leaves it behind.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()


async def _run() -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", connect_args={"async_creator_fn": _connect}, poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_run())
