"""The floor of a durable creation: one statement that inserts a thousand narrow rows and their key, over and over."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

import asyncpg

from bench import database

ROWS = 1_000
CREATE = "CREATE TABLE bench_narrow (id uuid PRIMARY KEY, queue text NOT NULL, created_at timestamptz NOT NULL)"
DROP = "DROP TABLE IF EXISTS bench_narrow"
_INSERT = """
    INSERT INTO bench_narrow (id, queue, created_at)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[])
"""


def insert(url: str, seconds: float) -> int:
    """Insert for a time, a commit a statement; returns how many rows."""
    return database.wait_for(_insert(url, seconds))


async def _insert(url: str, seconds: float) -> int:
    connection = await asyncpg.connect(url)
    queues, times = ["made"] * ROWS, [datetime.now(UTC)] * ROWS
    inserted = 0
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # In the order of the key, as a UUIDv7's is.
            ids = [uuid.UUID(int=inserted + n) for n in range(ROWS)]
            await connection.execute(_INSERT, ids, queues, times)
            inserted += ROWS
    finally:
        await connection.close()
    return inserted
