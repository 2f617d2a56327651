"""The database beside the service: what the benchmark itself asks of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end: the benchmark itself does one thing at a time."""
    return asyncio.run(work)


def fetch(url: str, statement: str, *values: object) -> list[asyncpg.Record]:
    """Run one statement on a connection of its own."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            found: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return found
        finally:
            await connection.close()

    return wait_for(run())


def value(url: str, statement: str, *values: object) -> Any:
    """The first column of the first row."""
    return fetch(url, statement, *values)[0][0]


def run(url: str, *statements: str) -> None:
    """Run statements outside a transaction."""
    for statement in statements:
        fetch(url, statement)


def hold_snapshot(url: str, held: threading.Event, done: threading.Event) -> None:
    """Keep a transaction open that sees the database as it is now, until it is done."""

    async def hold() -> None:
        connection = await asyncpg.connect(url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.fetchval("SELECT count(*) FROM runs")
                held.set()
                await asyncio.to_thread(done.wait)
        finally:
            await connection.close()

    wait_for(hold())
