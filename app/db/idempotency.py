"""Idempotency records: what a call with a key did, stored in the transaction that did it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup, target_by_key
from app.db.parameters import Batch
from app.db.projection import Projection, Value
from app.db.statement import Statement

_RECORD = tables.idempotency_records.alias("d")


class RecordKey(NamedTuple):
    """Where a record lies: the project, the route and the caller's key."""

    project_id: UUID
    route: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationRecord:
    """The first creation with a key: the digest of its request, and the job it created."""

    project_id: UUID
    route: str
    key: str
    fingerprint: bytes
    job_id: UUID

    @property
    def record_key(self) -> RecordKey:
        """Where the record lies."""
        return RecordKey(self.project_id, self.route, self.key)


RESERVE = Statement(
    """
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, job_id, created_at)
    SELECT i.project_id, i.route, i.key, i.fingerprint, 201, i.job_id, statement_timestamp()
    FROM :rows
    ORDER BY i.project_id, i.route, i.key
    ON CONFLICT (project_id, route, key) DO NOTHING
    RETURNING :returned
    """,
    Batch(CreationRecord),
    Value(UUID, "job_id"),
)


async def reserve(connection: Connection, records: Sequence[CreationRecord]) -> set[UUID]:
    """Store the records whose key is free; returns their jobs. Sorted, since two batches may share keys."""
    return set(await connection.fetch(RESERVE, records))


FORGET = Statement(
    f"""
    DELETE FROM idempotency_records d USING :rows
    WHERE {target_by_key("d", project_id="i.project_id", route="i.route", key="i.key")} AND d.job_id = i.job_id
    """,
    Batch(CreationRecord),
)


async def forget(connection: Connection, records: Sequence[CreationRecord]) -> None:
    """Delete records that this transaction has reserved: their jobs were refused, which leaves their keys free."""
    await connection.execute(FORGET, records)


_FIND = f"""
    SELECT :returned
    FROM :rows CROSS JOIN {lookup("idempotency_records", "d", project_id="i.project_id", route="i.route", key="i.key")}
"""
SELECT_CREATIONS = Statement(_FIND, Batch(RecordKey), Projection(CreationRecord, _RECORD, {"job_id": "d.job_id"}))


async def select_creations(connection: Connection, keys: Sequence[RecordKey]) -> dict[RecordKey, CreationRecord]:
    """Read what earlier creations with these keys created."""
    return {record.record_key: record for record in await connection.fetch(SELECT_CREATIONS, keys)}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """The first call with a key that created no job: the digest of its request, and what a repeat needs to know."""

    project_id: UUID
    route: str
    key: str
    fingerprint: bytes
    body: Any

    @property
    def record_key(self) -> RecordKey:
        """Where the record lies."""
        return RecordKey(self.project_id, self.route, self.key)


INSERT = Statement(
    """
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, body, created_at)
    SELECT i.project_id, i.route, i.key, i.fingerprint, 200, CAST(i.body AS json), statement_timestamp()
    FROM :rows
    ORDER BY i.project_id, i.route, i.key
    ON CONFLICT (project_id, route, key) DO NOTHING
    """,
    Batch(IdempotencyRecord),
)


async def insert(connection: Connection, records: Sequence[IdempotencyRecord]) -> int:
    """Store records; returns how many keys were free."""
    return await connection.execute(INSERT, records)


SELECT = Statement(_FIND, Batch(RecordKey), Projection(IdempotencyRecord, _RECORD))


async def select(connection: Connection, keys: Sequence[RecordKey]) -> dict[RecordKey, IdempotencyRecord]:
    """Read the records under these keys."""
    return {record.record_key: record for record in await connection.fetch(SELECT, keys)}
