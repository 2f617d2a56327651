"""The cluster that the database lives in. A position in the feed of events is a number of its transactions.

Restored from a dump into another cluster, a database keeps the old numbers, and the new ones begin from the start: a
reader that resumes would hear nothing for days, and one that follows would hear history as news once the numbers have
caught up. So every start compares the cluster with the one that is stored, and begins a new epoch where it is another.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from app.db.connection import Connection
from app.db.opening import asyncpg_dsn, open_connection
from app.db.projection import Value
from app.db.sessions import ADVISORY_LOCK
from app.db.statement import Statement
from app.db.upkeep_tables import epochs

_SOURCE: Final = epochs.alias("p")
_ROW: Final = "FROM epochs p WHERE p.name = 'events'"
EPOCH: Final = f"(SELECT p.epoch {_ROW})"
"""The epoch of the positions that are written now, as an expression. A statement reads it once."""
BEGINS_AFTER: Final = f"(SELECT p.begins_after {_ROW})"
"""The last event that was written in an earlier epoch."""

SELECT = Statement(f"SELECT :returned {_ROW}", returns=Value(int, _SOURCE.c.epoch))


async def select(connection: Connection) -> int:
    """Read the epoch of the positions that are written now."""
    return await connection.fetchone(SELECT, None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison of clusters has found."""

    is_new: bool
    """Whether the database was restored into another cluster since the last one."""
    is_certain: bool
    """Whether the role may read the cluster's identifier."""


_SECONDS: Final = 3600
"""For a comparison that waits for a migration, or looks for the last of very many events."""

_MAY_READ: Final = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
_IDENTIFIER: Final = "SELECT system_identifier FROM pg_control_system()"
_STORED: Final = f"SELECT p.begins_after, p.system_identifier {_ROW}"
# Numbers that no transaction of this cluster has had yet: one probe of the feed's index for each project.
_IS_AHEAD: Final = """
    SELECT EXISTS (
        SELECT FROM projects p CROSS JOIN LATERAL (
            SELECT FROM events e
            WHERE e.project_id = p.id AND e.xid >= pg_snapshot_xmax(pg_current_snapshot()) AND e.id > $1 LIMIT 1
        ) e
    )
"""
_BEGIN: Final = """
    UPDATE epochs SET epoch = $1, begins_after = (SELECT coalesce(max(e.id), 0) FROM events e), system_identifier = $2
    WHERE name = 'events'
"""
# A copy that was made without its sequences would number new events like old ones.
_RENUMBER: Final = """
    SELECT setval(pg_get_serial_sequence('events', 'id'), p.begins_after) FROM epochs p
    WHERE p.begins_after > coalesce(pg_sequence_last_value(pg_get_serial_sequence('events', 'id')::regclass), 0)
"""


async def compare_cluster(url: str) -> Comparison:
    """Begin a new epoch where the database lives in another cluster than the one that is stored."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL lock_timeout = 0")
            # The migrations' own: of many processes that start at once the first one finds the other cluster.
            await connection.execute(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})", timeout=_SECONDS)
            return await _compare(connection)
    finally:
        await connection.close()


async def _compare(connection: "asyncpg.Connection[Any]") -> Comparison:
    may_read = await connection.fetchval(_MAY_READ)
    identifier = await connection.fetchval(_IDENTIFIER) if may_read else None
    ((begins_after, stored),) = await connection.fetch(_STORED)
    is_new = identifier is not None and stored is not None and identifier != stored
    # Where nobody knows what the database was in, or the rows alone came from elsewhere.
    if is_new or await connection.fetchval(_IS_AHEAD, begins_after, timeout=_SECONDS):
        # By chance, and not the next number: two clusters that were restored from one dump are two.
        await connection.execute(_BEGIN, secrets.randbits(62) + 1, identifier, timeout=_SECONDS)
        await connection.execute(_RENUMBER)
        return Comparison(is_new=True, is_certain=identifier is not None)
    if identifier is not None and stored is None:
        await connection.execute("UPDATE epochs SET system_identifier = $1 WHERE name = 'events'", identifier)
    return Comparison(is_new=False, is_certain=identifier is not None)
