"""Idempotency-Keys: what was done under a key is stored in the transaction that did it.

A call that does one thing loads the record of its key, under a lock on what it changes if it takes one, and stores it
together with the change. One that does many things in several transactions binds its key in the first of them, and each
thing has a key of its own (`Idempotency.of_row`). Creations have a set-based form of this in `create`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.db import idempotency
from app.db.connection import Connection
from app.db.idempotency import IdempotencyRecord, RecordKey
from app.domain.errors import IdempotencyInProgressError, InvalidError, NotFoundError
from app.domain.field_error import FieldError
from app.domain.idempotency import Done, Idempotency


def reused_key_error() -> InvalidError:
    """Build the error for an Idempotency-Key that came back with another request."""
    message = "This Idempotency-Key was used for another request; use a new key for a new request."
    return InvalidError([FieldError("header:Idempotency-Key", "idempotency_key_reused", message)])


def new_job_deleted_error() -> InvalidError:
    """Build the error for the repeat of a call whose new job was deleted."""
    message = "The job that this Idempotency-Key made was deleted; use a new key."
    return InvalidError([FieldError("header:Idempotency-Key", "idempotency_job_deleted", message)])


def job_deleted_error() -> NotFoundError:
    """Build the error for the repeat of a call about a job that was deleted since."""
    return NotFoundError("The first request with this Idempotency-Key was carried out; its job was deleted since.")


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


async def store(connection: Connection, done: Sequence[tuple[UUID, Idempotency | None, Any]]) -> None:
    """Store what these calls did. A call of the same key that is still running elsewhere wins: this one is undone."""
    records = _records(done)
    if records and await idempotency.insert(connection, records) < len(records):
        raise IdempotencyInProgressError("The first call with this Idempotency-Key is still running.")


async def bind(connection: Connection, project_id: UUID, key: Idempotency, body: Any) -> Done[Any]:
    """Bind a key to its request, for a call that does its work in other transactions: to `body`, or as replayed to
    what an earlier call has bound it to. Raises InvalidError if that was another request.
    """
    # A call of the same key that has not committed yet is waited for.
    while not await idempotency.insert(connection, _records([(project_id, key, body)])):
        record = await load(connection, project_id, key)
        if record is not None:
            return Done(record.body, replayed=True)
    return Done(body)


def _records(done: Sequence[tuple[UUID, Idempotency | None, Any]]) -> list[IdempotencyRecord]:
    return [
        IdempotencyRecord(project_id=project_id, route=key.route, key=key.key, fingerprint=key.fingerprint, body=body)
        for project_id, key, body in done
        if key is not None
    ]
