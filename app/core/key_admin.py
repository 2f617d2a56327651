"""Managing keys and projects: who may make, end and see which of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core import audit
from app.core.batches.idempotency import load, store
from app.core.keys import digest_of, make_key
from app.db import keys, projects
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Action, Actor
from app.domain.errors import (
    FieldError,
    ForbiddenError,
    InvalidError,
    KeyRevokedError,
    LastOperatorKeyError,
    NotFoundError,
)
from app.domain.ids import new_id
from app.domain.job import Idempotency
from app.domain.principal import Principal, Project, Scope, StoredKey


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

    def __init__(self, database: Database, announce_keys: Callable[[], None]) -> None:
        self._database = database
        self._announce_keys = announce_keys

    async def create(
        self, actor: Actor, wanted: NewKey, *, idempotency: Idempotency | None = None
    ) -> tuple[StoredKey, str | None]:
        """Create a key; returns it as it is stored, and the key itself, which is not stored anywhere.

        A repeat gets no key: nothing that is stored could show it again.
        """
        caller = actor.principal
        project_id = _project_of(caller, wanted.project_id)
        if not caller.covers(wanted.scopes, wanted.queues):
            raise ForbiddenError("A key cannot make one that may more than itself: a scope or queue is missing here.")
        key_id, key = make_key()
        principal = Principal(project_id, key_id, wanted.name, wanted.scopes, wanted.queues)

        async def work(connection: Connection) -> tuple[StoredKey, str | None]:
            note = await load(connection, caller.project_id, idempotency)
            if note is not None:
                return await _existing(connection, project_id, note.body), None
            if await projects.select_project(connection, project_id) is None:
                raise _invalid("/project_id", "not_found", "There is no such project.")
            made = await keys.insert_key(connection, principal, digest_of(key), expires_at=wanted.expires_at)
            if made is None:
                raise _invalid("/expires_at", "past", "`expires_at` has passed; this key would never work.")
            if idempotency is not None:
                await store(connection, [(caller.project_id, idempotency, key_id)])
            audit.record(connection, audit.key_changed(Action.KEYS_CREATE, actor, None, made))
            return made, key

        return await self._database.write(work)

    async def get(self, caller: Principal, key_id: str, *, project_id: UUID | None = None) -> StoredKey:
        """Read one key."""
        place = _project_of(caller, project_id)
        return await self._database.read(lambda connection: _existing(connection, place, key_id))

    async def page(
        self, caller: Principal, *, project_id: UUID | None = None, before: datetime | None, limit: int
    ) -> tuple[list[StoredKey], datetime | None]:
        """List keys made before a moment, newest first; the moment before which the next page begins, or None."""
        place = _project_of(caller, project_id)

        async def work(connection: Connection) -> list[StoredKey]:
            if await projects.select_project(connection, place) is None:
                raise NotFoundError("There is no such project.")
            return await keys.select_keys(connection, place, before=before, limit=limit + 1)

        found = await self._database.read(work)
        moment = next_moment([key.created_at for key in found], limit)
        return [key for key in found if moment is None or key.created_at >= moment], moment

    async def revoke(self, actor: Actor, key_id: str, *, project_id: UUID | None = None) -> None:
        """End a key for good and at once; harmless when it was revoked before."""
        caller = actor.principal
        place = _project_of(caller, project_id)

        async def work(connection: Connection) -> None:
            key = await _managed(connection, caller, place, key_id)
            await _keep_an_operator(connection, key)
            revoked = await keys.revoke(connection, place, key_id)
            if revoked is not None:
                audit.record(connection, audit.key_changed(Action.KEYS_REVOKE, actor, key, revoked))

        await self._database.write(work)
        self._announce_keys()

    async def set_expiry(
        self, actor: Actor, key_id: str, expires_at: datetime | None, *, project_id: UUID | None = None
    ) -> StoredKey:
        """Set when a key ends: None is never, a moment that has passed is now."""
        caller = actor.principal
        place = _project_of(caller, project_id)

        async def work(connection: Connection) -> StoredKey:
            key = await _managed(connection, caller, place, key_id)
            if expires_at is not None and (key.expires_at is None or expires_at < key.expires_at):
                await _keep_an_operator(connection, key)
            changed = await keys.set_expiry(connection, place, key_id, expires_at)
            if changed is None:
                raise KeyRevokedError("The key is revoked, which is for good; make a new one.")
            audit.record(connection, audit.key_changed(Action.KEYS_SET_EXPIRY, actor, key, changed))
            return changed

        changed = await self._database.write(work)
        self._announce_keys()
        return changed


class Projects:
    """The tenants. One is made and never deleted: this version has no way to delete all that belongs to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Actor, name: str, *, idempotency: Idempotency | None = None) -> tuple[Project, bool]:
        """Create a project; returns it, and whether an earlier call had created it. Names need not differ: the id is
        what tells two apart.
        """
        project_id, caller = new_id(), actor.principal

        async def work(connection: Connection) -> tuple[Project, bool]:
            note = await load(connection, caller.project_id, idempotency)
            if note is not None:
                made = await projects.select_project(connection, UUID(note.body))
                if made is not None:
                    return made, True
            if idempotency is not None:
                await store(connection, [(caller.project_id, idempotency, str(project_id))])
            made = await projects.insert_project(connection, project_id, name)
            audit.record(connection, audit.project_made(actor, made))
            return made, False

        return await self._database.write(work)

    async def get(self, project_id: UUID) -> Project:
        """Read one project."""
        project = await self._database.read(lambda connection: projects.select_project(connection, project_id))
        if project is None:
            raise NotFoundError("There is no such project.")
        return project

    async def page(self, *, before: datetime | None, limit: int) -> tuple[list[Project], datetime | None]:
        """List projects made before a moment, newest first; the moment before which the next page begins, or None."""
        found = await self._database.read(
            lambda connection: projects.select_projects(connection, before=before, limit=limit + 1)
        )
        moment = next_moment([project.created_at for project in found], limit)
        return [project for project in found if moment is None or project.created_at >= moment], moment


def next_moment(moments: list[datetime], limit: int) -> datetime | None:
    """Say at which moment a page ends of which `limit + 1` rows and all ties of the last one were read; None: nowhere.

    Rows of the same moment stay together, so a page may hold some more than its limit and never splits them.
    """
    return None if len(moments) <= limit else moments[limit - 1]


def _project_of(caller: Principal, asked: UUID | None) -> UUID:
    if asked is None or asked == caller.project_id:
        return caller.project_id
    if not caller.may(Scope.OPERATOR):
        # Whether that project exists or not: a stranger learns nothing.
        raise ForbiddenError("Only a key with the scope `operator` reaches into another project.")
    return asked


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
    """Refuse to end the last operator key. Under a lock: two that end each other's would both see the other one."""
    if Scope.OPERATOR not in key.scopes:
        return
    await keys.lock_keys(connection)
    if await keys.is_last_operator(connection, key.project_id, key.id):
        raise LastOperatorKeyError(
            "No other operator key would last as long; make one before, or nobody can administer this service."
        )


def _invalid(pointer: str, code: str, sentence: str) -> InvalidError:
    return InvalidError("The request is not valid.", (FieldError(pointer, code, sentence),))
