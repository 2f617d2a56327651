"""Idempotency-Keys of calls that create no job: what was done under a key is stored in the transaction that did it.

Creations have their own set-based form of this in `create`, over the same records.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.db import idempotency
from app.db.connection import Connection
from app.db.idempotency import IdempotencyRecord, RecordKey
from app.domain.errors import FieldError, IdempotencyInProgressError, InvalidError
from app.domain.job import Idempotency


def reused_key_error() -> InvalidError:
    """Build the error for an Idempotency-Key that came back with another request."""
    message = "This Idempotency-Key was used for another request; use a new key for a new request."
    return InvalidError([FieldError("header:Idempotency-Key", "idempotency_key_reused", message)])


def key_of(project_id: UUID, key: Idempotency) -> RecordKey:
    """Return where the record of a caller's key lies."""
    return RecordKey(project_id, key.route, key.key)


async def load(connection: Connection, project_id: UUID, key: Idempotency | None) -> IdempotencyRecord | None:
    """Read what an earlier call under this key did; raises InvalidError if it was another request."""
    if key is None:
        return None
    record_key = key_of(project_id, key)
    record = (await idempotency.select(connection, [record_key])).get(record_key)
    if record is not None and record.fingerprint != key.fingerprint:
        raise reused_key_error()
    return record


async def store(connection: Connection, done: Sequence[tuple[UUID, Idempotency, Any]]) -> None:
    """Store what these calls did. A call of the same key that is still running elsewhere wins: this one is undone."""
    if not done:
        return
    records = [
        IdempotencyRecord(project_id=project_id, route=key.route, key=key.key, fingerprint=key.fingerprint, body=body)
        for project_id, key, body in done
    ]
    if await idempotency.insert(connection, records) < len(records):
        raise IdempotencyInProgressError("The first call with this Idempotency-Key is still running.")
