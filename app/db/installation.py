"""What the service keeps in the database: how large its tables are, and what it still has to remove."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.db import upkeep_tables
from app.db.connection import Connection
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.installation import Storage, TableSize

MOST_COUNTED: Final = 10_000
"""Counting stops here, as that of queues does."""
_TABLES: Final = sorted(upkeep_tables.epochs.metadata.tables)


@dataclass(frozen=True, slots=True)
class _Named:
    names: Sequence[str]


# Of the server's own notes: no table is read. An estimate of -1 is none, before a table was first analysed.
SIZES = Statement(
    """
    SELECT :returned FROM unnest(:names) AS n (name) JOIN pg_class c ON c.oid = to_regclass(quote_ident(n.name))
    """,
    Values(_Named),
    Projection(
        TableSize,
        columns={
            "name": "n.name",
            "rows": "CASE WHEN c.reltuples >= 0 THEN CAST(c.reltuples AS bigint) END",
            "size": "pg_total_relation_size(c.oid)",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class _Most:
    most: int


STORAGE = Statement(
    """
    SELECT :returned FROM (SELECT count(*) AS n FROM (SELECT FROM deletions LIMIT :most) d) d
    """,
    Values(_Most),
    Projection(
        Storage,
        columns={
            "server_version": "current_setting('server_version')",
            "size": "pg_database_size(current_database())",
            "deletions": "d.n",
        },
    ),
)


async def select_sizes(connection: Connection) -> list[TableSize]:
    """Read how large the service's tables are with their indexes, and about how many rows each has."""
    return await connection.fetch(SIZES, _Named(_TABLES))


async def select_storage(connection: Connection) -> Storage:
    """Read how large the database is, and count the deleted jobs whose rows are still to be removed."""
    return await connection.fetchone(STORAGE, _Most(MOST_COUNTED))
