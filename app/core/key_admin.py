"""Managing keys, and which key may do so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import audit
from app.core.batches.idempotency import load, store
from app.core.key_lifetimes import allowed_end, earlier_end
from app.db import key_lookups, keys, projects
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Action, Actor
from app.domain.errors import ForbiddenError, InvalidError, KeyRevokedError, LastOperatorKeyError, NotFoundError
from app.domain.field_error import FieldError
from app.domain.idempotency import Done, Idempotency
from app.domain.key_text import digest_of, make_key
from app.domain.principal import KeyChange, KeyRef, Principal, Scope, StoredKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to create; a `project_id` of None is the project of the caller."""

    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    expires_at: datetime | None = None
    project_id: UUID | None = None


class KeyAdmin:
    """Creates, shows and revokes keys. A key manages only keys with no more rights than its own."""

    def __init__(self, database: Database, announce_keys: Callable[[Sequence[KeyChange]], None]) -> None:
        self._database = database
        self._announce_keys = announce_keys

    async def create(
        self, actor: Actor, new_key: NewKey, *, idempotency: Idempotency | None = None
    ) -> tuple[StoredKey, str | None]:
        """Create a key; returns it as it is stored, and the key itself, which is not stored anywhere.

        It ends with its maker at the latest: the key of a helper that ends tonight could make itself an heir otherwise.
        A repeat gets no key: nothing that is stored could show it again.
        """
        caller = actor.principal
        project_id = _project_of(caller, new_key.project_id)
        if not caller.covers(new_key.scopes, new_key.queues):
            raise ForbiddenError("A key cannot make one that may more than itself: a scope or queue is missing here.")
        key_id, key = make_key()
        principal = Principal(project_id, key_id, new_key.name, new_key.scopes, new_key.queues)
        expires_at = earlier_end(new_key.expires_at, caller.expires_at)
        stored, created = await self._database.slow(caller.project_id).write(
            _create_key, actor, principal, digest_of(key), expires_at=expires_at, idempotency=idempotency
        )
        return stored, key if created else None

    async def get(self, caller: Principal, key_id: str, *, project_id: UUID | None = None) -> StoredKey:
        """Read one key."""
        return await self._database.slow(caller.project_id).read(_existing, _project_of(caller, project_id), key_id)

    async def page(
        self, caller: Principal, *, project_id: UUID | None = None, before: datetime | None, limit: int
    ) -> tuple[list[StoredKey], datetime | None]:
        """List keys created before a time, newest first, with the `before` of the next page, None at the end."""
        found = await self._database.slow(caller.project_id).read(
            _select_page, _project_of(caller, project_id), before=before, limit=limit + 1
        )
        end = next_before([key.created_at for key in found], limit)
        return [key for key in found if end is None or key.created_at >= end], end

    async def revoke(
        self, actor: Actor, key_id: str, *, project_id: UUID | None = None, idempotency: Idempotency | None = None
    ) -> Done[None]:
        """Revoke a key permanently and at once; no error if it was revoked before."""
        place = _project_of(actor.principal, project_id)
        done = await self._database.slow(actor.principal.project_id).write(_revoke, actor, place, key_id, idempotency)
        self._announce_keys([KeyChange(KeyRef(place, key_id), ended=True)])
        return done

    async def set_expiry(
        self,
        actor: Actor,
        key_id: str,
        expires_at: datetime | None,
        *,
        project_id: UUID | None = None,
        idempotency: Idempotency | None = None,
    ) -> Done[StoredKey]:
        """Set when a key expires: None means never, a time in the past means now.

        A key may lengthen the life of another up to its own end, and never its own.
        """
        place = _project_of(actor.principal, project_id)
        done, ended = await self._database.slow(actor.principal.project_id).write(
            _set_expiry, actor, place, key_id, expires_at, idempotency
        )
        self._announce_keys([KeyChange(KeyRef(place, key_id), ended)])
        return done


def next_before(times: list[datetime], limit: int) -> datetime | None:
    """Return the time at which a page ends, None if it is the last; `limit + 1` rows and the last one's ties were read.

    Rows of the same time stay on one page, which may therefore hold a few more than its limit.
    """
    return None if len(times) <= limit else times[limit - 1]


def _project_of(caller: Principal, project_id: UUID | None) -> UUID:
    if project_id is None or project_id == caller.project_id:
        return caller.project_id
    if not caller.may(Scope.OPERATOR):
        # Whether or not that project exists, so that the caller does not learn which do.
        raise ForbiddenError("Only a key with the scope `operator` reaches into another project.")
    return project_id


async def _create_key(
    connection: Connection,
    actor: Actor,
    principal: Principal,
    digest: bytes,
    *,
    expires_at: datetime | None,
    idempotency: Idempotency | None,
) -> tuple[StoredKey, bool]:
    """Store a key, unless a call with this idempotency key has; returns what is stored, and whether it is new."""
    owner = actor.principal.project_id
    record = await load(connection, owner, idempotency)
    if record is not None:
        return await _existing(connection, principal.project_id, record.body), False
    if await projects.select_project(connection, principal.project_id) is None:
        raise _invalid("/project_id", "not_found", "There is no such project.")
    stored = await keys.insert_key(connection, principal, digest, expires_at=expires_at)
    if stored is None:
        raise _invalid("/expires_at", "past", "`expires_at` has passed; this key would never work.")
    await store(connection, [(owner, idempotency, principal.key_id)])
    audit.record(connection, audit.key_changed(Action.KEYS_CREATE, actor, None, stored))
    return stored, True


async def _select_page(
    connection: Connection, project_id: UUID, *, before: datetime | None, limit: int
) -> list[StoredKey]:
    if await projects.select_project(connection, project_id) is None:
        raise NotFoundError("There is no such project.")
    return await keys.select_keys(connection, project_id, before=before, limit=limit)


async def _revoke(
    connection: Connection, actor: Actor, project_id: UUID, key_id: str, idempotency: Idempotency | None
) -> Done[None]:
    owner = actor.principal.project_id
    if await load(connection, owner, idempotency) is not None:
        return Done(None, replayed=True)
    key = await _managed(connection, actor.principal, project_id, key_id)
    await _keep_an_operator(connection, key)
    revoked = await keys.revoke(connection, project_id, key_id)
    if revoked is not None:
        audit.record(connection, audit.key_changed(Action.KEYS_REVOKE, actor, key, revoked))
    await store(connection, [(owner, idempotency, None)])
    return Done(None)


async def _set_expiry(
    connection: Connection,
    actor: Actor,
    project_id: UUID,
    key_id: str,
    expires_at: datetime | None,
    idempotency: Idempotency | None,
) -> tuple[Done[StoredKey], bool]:
    """Set a key's expiry; returns the key, and whether it has ended."""
    owner = actor.principal.project_id
    record = await load(connection, owner, idempotency)
    # Read after the record, whose call may have committed just before: the key is as that call has left it.
    key = await _managed(connection, actor.principal, project_id, key_id)
    if record is not None:
        return Done(key, replayed=True), await _has_ended(connection, KeyRef(project_id, key_id))
    expires_at = allowed_end(actor.principal, key, expires_at)
    if expires_at is not None and (key.expires_at is None or expires_at < key.expires_at):
        await _keep_an_operator(connection, key)
    changed = await keys.set_expiry(connection, project_id, key_id, expires_at)
    if changed is None:
        raise KeyRevokedError("The key is revoked, which is for good; make a new one.")
    audit.record(connection, audit.key_changed(Action.KEYS_SET_EXPIRY, actor, key, changed))
    await store(connection, [(owner, idempotency, None)])
    return Done(changed), await _has_ended(connection, KeyRef(project_id, key_id))


async def _has_ended(connection: Connection, ref: KeyRef) -> bool:
    return not await key_lookups.select_valid(connection, [ref])


async def _existing(connection: Connection, project_id: UUID, key_id: str) -> StoredKey:
    key = await keys.select_key(connection, project_id, key_id)
    if key is None:
        raise NotFoundError("There is no such key.")
    return key


async def _managed(connection: Connection, caller: Principal, project_id: UUID, key_id: str) -> StoredKey:
    """Read a key that the caller may change; scopes and queues never change, so this needs no lock."""
    key = await _existing(connection, project_id, key_id)
    if not caller.covers(key.scopes, key.queues):
        raise ForbiddenError("This key may more than the one that you sent; only its like can change it.")
    return key


async def _keep_an_operator(connection: Connection, key: StoredKey) -> None:
    """Refuse to end the last operator key. Under a lock: two calls that each end the other's key would both succeed."""
    if Scope.OPERATOR not in key.scopes:
        return
    await keys.lock_keys(connection)
    if await keys.is_last_operator(connection, key.project_id, key.id):
        raise LastOperatorKeyError(
            "No other operator key would last as long; make one before, or nobody can administer this service."
        )


def _invalid(pointer: str, code: str, sentence: str) -> InvalidError:
    return InvalidError([FieldError(pointer, code, sentence)])
