"""Idempotency records: what a call with a key made, stored in the transaction that made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The first call with a key: the digest of what it asked for and the job it made."""

    project_id: UUID
    route: str
    key: str
    fingerprint: bytes
    job_id: UUID


CLAIM = text("""
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, job_id, created_at)
    SELECT i.project_id, i.route, i.key, i.fingerprint, 201, i.job_id, statement_timestamp()
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]),
                CAST(:fingerprints AS bytea[]), CAST(:job_ids AS uuid[]))
         AS i (project_id, route, key, fingerprint, job_id)
    ORDER BY i.project_id, i.route, i.key
    ON CONFLICT (project_id, route, key) DO NOTHING
    RETURNING job_id
""")


async def insert(connection: AsyncConnection, records: Sequence[Record]) -> set[UUID]:
    """Take the keys that are free; gives the jobs whose key was. Sorted, since two batches may share keys."""
    rows = await connection.execute(
        CLAIM,
        {
            "project_ids": [record.project_id for record in records],
            "routes": [record.route for record in records],
            "keys": [record.key for record in records],
            "fingerprints": [record.fingerprint for record in records],
            "job_ids": [record.job_id for record in records],
        },
    )
    return {row.job_id for row in rows}


SELECT = text("""
    SELECT d.project_id, d.route, d.key, d.fingerprint, d.job_id
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]))
         AS i (project_id, route, key)
    JOIN idempotency_records d ON d.project_id = i.project_id AND d.route = i.route AND d.key = i.key
""")


async def select(connection: AsyncConnection, records: Sequence[Record]) -> dict[tuple[UUID, str, str], Record]:
    """Read what earlier calls with these keys made."""
    rows = await connection.execute(
        SELECT,
        {
            "project_ids": [record.project_id for record in records],
            "routes": [record.route for record in records],
            "keys": [record.key for record in records],
        },
    )
    return {
        (row.project_id, row.route, row.key): Record(
            project_id=row.project_id, route=row.route, key=row.key, fingerprint=row.fingerprint, job_id=row.job_id
        )
        for row in rows
    }
