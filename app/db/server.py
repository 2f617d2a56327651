"""What the server's own programs need to know of a database: its version, who uses it, what of it is ours."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.db import upkeep_tables
from app.db.opening import asyncpg_dsn, open_connection
from app.db.tables import metadata

_TABLES: Final = sorted(
    {*metadata.tables, upkeep_tables.epochs.name, upkeep_tables.installation.name, "alembic_version"}
)
DROP_ALL: Final = f"DROP TABLE IF EXISTS {', '.join(_TABLES)} CASCADE; DROP FUNCTION IF EXISTS job_is_valid CASCADE;"
"""Removes what is the service's. Whatever else somebody keeps in the database stays."""
_OTHERS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'jobtrack' AND pid <> pg_backend_pid()
"""


async def _value(url: str, query: str) -> float:
    connection = await open_connection(asyncpg_dsn(url))
    try:
        return float(await connection.fetchval(query) or 0)
    finally:
        await connection.close()


async def server_major(url: str) -> int:
    """Return the major version of the server."""
    return int(await _value(url, "SELECT current_setting('server_version_num')::int / 10000"))


async def other_sessions(url: str) -> int:
    """Count the connections of the service itself."""
    return int(await _value(url, _OTHERS))


async def holds_jobs(url: str) -> bool:
    """Whether there is a job in the database, of whatever version."""
    if not await _value(url, "SELECT (to_regclass('jobs') IS NOT NULL)::int"):
        return False
    return await _value(url, "SELECT EXISTS (SELECT FROM jobs)::int") > 0


async def has_other_keys(url: str, digest: bytes | None) -> bool:
    """Whether there are keys in the database, of whatever version, and none with the digest."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        if not await connection.fetchval("SELECT to_regclass('keys') IS NOT NULL"):
            return False
        query = "SELECT count(*) > 0 AND count(*) FILTER (WHERE digest = $1) = 0 FROM keys"
        return bool(await connection.fetchval(query, digest))
    finally:
        await connection.close()


async def oldest_transaction_seconds(url: str) -> float:
    """Return the age of the oldest transaction that has written something, open or prepared; 0 without one."""
    return await _value(
        url,
        """
        SELECT coalesce(extract(epoch FROM clock_timestamp() - least(
            (SELECT min(xact_start) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()),
            (SELECT min(prepared) FROM pg_prepared_xacts)
        )), 0)
        """,
    )


async def clock_difference_seconds(url: str) -> float:
    """Return by how much this machine's clock is ahead of the database's, less than the round trip exactly."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        theirs = await connection.fetchval("SELECT clock_timestamp()")
        difference: timedelta = datetime.now(UTC) - theirs
        return difference.total_seconds()
    finally:
        await connection.close()


async def describe(url: str) -> dict[str, Any]:
    """Describe the server and the sizes of the service's tables, in numbers alone."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        version = await connection.fetchval("SELECT version()")
        tables = await connection.fetch(
            """
            SELECT c.relname, c.reltuples::bigint, pg_total_relation_size(c.oid) FROM pg_class c
            WHERE c.relname = ANY ($1) AND c.relkind IN ('r', 'p') ORDER BY 1
            """,
            _TABLES,
        )
        return {"server": version, "tables": [{"name": n, "rows": rows, "bytes": size} for n, rows, size in tables]}
    finally:
        await connection.close()
