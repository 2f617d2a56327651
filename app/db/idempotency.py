"""Idempotency records: what a call with a key made, stored in the transaction that made it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db.connection import Connection, Statement
from app.db.lookups import lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The first call with a key: the digest of what it asked for and the job it made."""

    project_id: UUID
    route: str
    key: str
    fingerprint: bytes
    job_id: UUID


CLAIM = Statement("""
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, job_id, created_at)
    SELECT i.project_id, i.route, i.key, i.fingerprint, 201, i.job_id, statement_timestamp()
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]),
                CAST(:fingerprints AS bytea[]), CAST(:job_ids AS uuid[]))
         AS i (project_id, route, key, fingerprint, job_id)
    ORDER BY i.project_id, i.route, i.key
    ON CONFLICT (project_id, route, key) DO NOTHING
    RETURNING job_id
""")


async def insert(connection: Connection, records: Sequence[Record]) -> set[UUID]:
    """Take the keys that are free; gives the jobs whose key was. Sorted, since two batches may share keys."""
    rows = await connection.fetch(
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


_KNOWN = f"""
    unnest(CAST(:project_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[])) AS i (project_id, route, key)
    CROSS JOIN {lookup("idempotency_records", "d", project_id="i.project_id", route="i.route", key="i.key")}
"""
SELECT = Statement(f"""
    SELECT d.project_id, d.route, d.key, d.fingerprint, d.job_id
    FROM {_KNOWN}
""")


async def select(connection: Connection, records: Sequence[Record]) -> dict[tuple[UUID, str, str], Record]:
    """Read what earlier calls with these keys made."""
    rows = await connection.fetch(
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


@dataclass(frozen=True, slots=True)
class Note:
    """What a call under a key left behind: the digest of what it asked for, and what a repeat needs to know."""

    fingerprint: bytes
    body: Any


INSERT_NOTES = Statement("""
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, body, created_at)
    SELECT i.project_id, i.route, i.key, i.fingerprint, 200, CAST(i.body AS json), statement_timestamp()
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:routes AS text[]), CAST(:keys AS text[]),
                CAST(:fingerprints AS bytea[]), CAST(:bodies AS text[]))
         AS i (project_id, route, key, fingerprint, body)
    ORDER BY i.project_id, i.route, i.key
    ON CONFLICT (project_id, route, key) DO NOTHING
""")


async def insert_notes(connection: Connection, notes: Sequence[tuple[UUID, str, str, bytes, Any]]) -> int:
    """Store notes, as (project, route, key, fingerprint, body); gives how many keys were free."""
    return await connection.execute(
        INSERT_NOTES,
        {
            "project_ids": [note[0] for note in notes],
            "routes": [note[1] for note in notes],
            "keys": [note[2] for note in notes],
            "fingerprints": [note[3] for note in notes],
            "bodies": [json.dumps(note[4]) for note in notes],
        },
    )


SELECT_NOTES = Statement(f"""
    SELECT d.project_id, d.route, d.key, d.fingerprint, d.body
    FROM {_KNOWN}
""")


async def select_notes(
    connection: Connection, asked: Sequence[tuple[UUID, str, str]]
) -> dict[tuple[UUID, str, str], Note]:
    """Read the notes of these (project, route, key)."""
    rows = await connection.fetch(
        SELECT_NOTES,
        {
            "project_ids": [one[0] for one in asked],
            "routes": [one[1] for one in asked],
            "keys": [one[2] for one in asked],
        },
    )
    return {(row.project_id, row.route, row.key): Note(bytes(row.fingerprint), row.body) for row in rows}
