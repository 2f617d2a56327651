"""Idempotency-Keys of calls that make no job: what was done under a key is remembered in the transaction that did it.

Creations have their own set-based form of this in `creations`, over the same records.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.db import idempotency
from app.db.connection import Connection
from app.db.idempotency import Note
from app.domain.errors import FieldError, IdempotencyInProgressError, InvalidError
from app.domain.job import Idempotency


def reused_key_error() -> InvalidError:
    """Say that an Idempotency-Key came back with another request."""
    message = "This Idempotency-Key was used for another request; use a new key for a new request."
    return InvalidError(message, (FieldError("Idempotency-Key", "idempotency_key_reused", message),))


async def recall(
    connection: Connection, asked: Sequence[tuple[UUID, Idempotency]]
) -> dict[tuple[UUID, str, str], Note]:
    """Read what earlier calls under these keys left, by project, route and key."""
    if not asked:
        return {}
    return await idempotency.select_notes(connection, [(project_id, one.route, one.key) for project_id, one in asked])


async def recall_one(connection: Connection, project_id: UUID, asked: Idempotency | None) -> Note | None:
    """Read what an earlier call under this key left; raises InvalidError if it was another request."""
    if asked is None:
        return None
    note = (await recall(connection, [(project_id, asked)])).get((project_id, asked.route, asked.key))
    if note is not None and note.fingerprint != asked.fingerprint:
        raise reused_key_error()
    return note


async def remember(connection: Connection, done: Sequence[tuple[UUID, Idempotency, Any]]) -> None:
    """Note what these calls did. A call of the same key that is still running elsewhere wins: this one is undone."""
    if done:
        notes = [(project_id, one.route, one.key, one.fingerprint, body) for project_id, one, body in done]
        if await idempotency.insert_notes(connection, notes) < len(notes):
            raise IdempotencyInProgressError("The first call with this Idempotency-Key is still running.")
