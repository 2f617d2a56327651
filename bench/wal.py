"""What was written ahead between two places of the WAL, without the images of whole pages that a checkpoint causes.

pg_walinspect tells records from images, where it is installed, on PostgreSQL 15 to 18 alike. Elsewhere pg_stat_wal,
which all of them have, tells how many images there were, and the truth lies between what all of it comes to and what is
left if each image was a whole page.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from bench import database
from bench.meter import Spent

_RECORDS = "SELECT sum(record_size)::bigint FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn)"
_ALL = "SELECT ($2::text::pg_lsn - $1::text::pg_lsn)::bigint"
_PAGE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes of WAL; both are the same where records can be told from images."""

    least: int
    most: int


def inspected(superuser_url: str) -> bool:
    """Whether pg_walinspect is there."""
    try:
        database.run(superuser_url, "CREATE EXTENSION IF NOT EXISTS pg_walinspect")
    except asyncpg.PostgresError:
        return False
    return True


def checkpoint(superuser_url: str) -> None:
    """Have the next one far off: pages that are loaded after this one need no image when they are changed."""
    database.run(superuser_url, "CHECKPOINT")


def written(superuser_url: str, spent: Spent) -> Written:
    """Read what the block wrote. Not while processor time is measured: the database itself reads the WAL for it."""
    if inspected(superuser_url):
        records = int(database.value(superuser_url, _RECORDS, spent.wal_from, spent.wal_to) or 0)
        return Written(records, records)
    most = int(database.value(superuser_url, _ALL, spent.wal_from, spent.wal_to))
    return Written(max(most - spent.images * _PAGE_BYTES, 0), most)
