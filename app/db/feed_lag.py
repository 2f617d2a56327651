"""How far the feed of events is behind, and who holds it up: the oldest transaction that has written, anywhere in the
cluster, be it in another database or prepared and forgotten.
"""

from dataclasses import dataclass
from typing import Final

from app.db.connection import Connection
from app.db.epochs import BEGINS_AFTER
from app.db.parameters import Values
from app.db.projection import Projection, Value
from app.db.statement import Statement

_NOW: Final = "pg_current_snapshot()"
_NUMBER: Final = "CAST(CAST({} AS text) AS bigint)"


@dataclass(frozen=True, slots=True)
class Lag:
    """The age of the oldest event that the feed does not show yet, and the transaction that it waits for."""

    seconds: float | None
    oldest: int


# One probe of the feed's index for each project, and none while no transaction is open.
SELECT = Statement(
    f"""
    SELECT :returned FROM projects p CROSS JOIN LATERAL (
        SELECT e.at FROM events e
        WHERE e.project_id = p.id AND e.xid >= pg_snapshot_xmin({_NOW}) AND e.xid < pg_snapshot_xmax({_NOW})
          AND e.id > {BEGINS_AFTER}
        ORDER BY e.xid, e.id LIMIT 1
    ) e
    WHERE pg_snapshot_xmin({_NOW}) < pg_snapshot_xmax({_NOW})
    """,
    returns=Projection(
        Lag,
        columns={
            "seconds": "CAST(extract(epoch FROM statement_timestamp() - min(e.at)) AS float8)",
            "oldest": _NUMBER.format(f"pg_snapshot_xmin({_NOW})"),
        },
    ),
)


async def select(connection: Connection) -> Lag:
    """Read how far the feed is behind."""
    return await connection.fetchone(SELECT, None)


@dataclass(frozen=True, slots=True)
class _Transaction:
    number: int


# Of a session of others these columns are shown to every role. Their transactions' numbers have 32 bits.
HOLDER = Statement(
    f"""
    SELECT :returned FROM (
        SELECT a.backend_xid AS number, format(
            'the session with pid %s of role %s in database %s (%s)', a.pid, a.usename, a.datname, a.application_name
        ) AS holder
        FROM pg_stat_activity a WHERE a.backend_xid IS NOT NULL
        UNION ALL
        SELECT x.transaction, format(
            'the prepared transaction %L of role %s in database %s', x.gid, x.owner, x.database
        )
        FROM pg_prepared_xacts x
    ) h
    WHERE {_NUMBER.format("h.number")} = mod(CAST(:number AS bigint), 4294967296) LIMIT 1
    """,
    Values(_Transaction),
    Value(str, "h.holder"),
)


async def select_holder(connection: Connection, number: int) -> str | None:
    """Describe who has this transaction; None if it has ended."""
    return await connection.fetchrow(HOLDER, _Transaction(number))
