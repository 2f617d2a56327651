"""Ended jobs that a database from before the service's times of keeping still keeps."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from app.db.aged import GAVE_UP_SQL, KEEPS_ALL
from app.db.opening import asyncpg_dsn, open_connection
from app.domain.queue import Keeping

_COUNT_SECONDS: Final = 10
"""The time for a count that may read every job, before the service starts."""
_COUNT: Final = f"""
    SELECT count(*) FROM jobs j LEFT JOIN queues q ON q.project_id = j.project_id AND q.name = j.queue
    WHERE CASE {GAVE_UP_SQL}
        WHEN 0 THEN q.retention_seconds IS NULL
            AND j.completed_at < statement_timestamp() - nullif($1::bigint, 0) * interval '1 second'
        ELSE q.retention_failed_seconds IS NULL
            AND j.completed_at < statement_timestamp() - nullif($2::bigint, 0) * interval '1 second'
    END
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many jobs would be deleted; None: too many to count."""

    jobs: int | None


async def count_kept(url: str, keeping: Keeping) -> Kept | None:
    """Count what these times would delete; None of a database that follows them."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        if not await connection.fetchval(f"SELECT {KEEPS_ALL}"):
            return None
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL statement_timeout = '{_COUNT_SECONDS}s'")
                # The whole table is what is counted, and then it is the cheapest way.
                await connection.execute("SET LOCAL enable_seqscan = on")
                jobs = await connection.fetchval(
                    _COUNT, keeping.seconds, keeping.failed_seconds, timeout=_COUNT_SECONDS + 2
                )
        except (asyncpg.QueryCanceledError, TimeoutError):
            return Kept(None)
        return Kept(jobs)
    finally:
        await connection.close()
