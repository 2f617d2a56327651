"""API keys: shown once, stored by digest, and checked from memory while nothing changes."""

import asyncio
from uuid import UUID

from app.core import audit
from app.core.guesses import Guesses
from app.core.refusals import Refusals
from app.core.remembered_principals import RememberedPrincipals
from app.db import key_lookups, keys, projects
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Action
from app.domain.errors import ThrottledError, UnauthorizedError
from app.domain.ids import new_id
from app.domain.key_text import digest_of, is_mistyped, make_key
from app.domain.principal import Principal, Scope
from app.live.read_batcher import ReadBatcher

MAX_KEY_LENGTH = 255
"""The longest bootstrap key allowed; anything longer is refused before it is hashed."""

WRITE_USES_SECONDS = 60.0
"""`last_used_at` is for finding keys that are no longer used, for which a minute is precise enough."""

DEFAULT_PROJECT = "default"


class ApiKeys:
    """Checks keys, and creates the first one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        reads: ReadBatcher[bytes, Principal] = ReadBatcher(database, key_lookups.select_by_digests)
        self._principals = RememberedPrincipals(reads, digest_of, self._note_use)
        self.remembered = self._principals.get
        """Returns the principal of a key that was checked within the last two seconds, else None."""
        self.known = self._principals.last
        """Returns the principal of a key as of its last check, however long ago. It authorises nothing."""
        self.forget = self._principals.forget
        """Forgets the keys that some process changed or revoked."""
        self._guesses = Guesses()
        self.refusals = Refusals()
        self._used: set[tuple[UUID, str]] = set()

    async def authenticate(self, key: str, address: str) -> Principal:
        """Return the principal of a key; raises UnauthorizedError, or ThrottledError for a wrong one too many.

        Keys are refused nowhere else, so that every refusal is counted for the log.
        """
        try:
            return await self._authenticate(key, address)
        except ThrottledError:
            self.refusals.note(address, throttled=True)
            raise
        except UnauthorizedError:
            self.refusals.note(address)
            raise

    async def _authenticate(self, key: str, address: str) -> Principal:
        if len(key) > MAX_KEY_LENGTH or is_mistyped(key):
            raise UnauthorizedError("This API key is not valid.")
        found = self.remembered(key)
        if found is not None:
            return found
        seconds_left = self._guesses.count(address)
        principal: Principal | None = None
        is_wrong = False
        try:
            # Shielded: a caller that is cancelled does not cancel the look-up for the others.
            principal = await asyncio.shield(self._principals.look_up(key))
            is_wrong = principal is None
        finally:
            if not is_wrong:
                self._guesses.take_back(address)
        if principal is None:
            if seconds_left > 0:
                raise ThrottledError("Too many wrong keys came from this address; wait before the next.", seconds_left)
            raise UnauthorizedError("This API key is not valid.")
        return principal

    def _note_use(self, _digest: bytes, principal: Principal) -> None:
        self._used.add((principal.project_id, principal.key_id))

    async def write_uses(self) -> float:
        """Store which keys were used since the last call, and log refused ones; returns the seconds until the next one.

        For all keys at once: a write per request would make the key's row the most contended of all.
        """
        self.refusals.flush()
        used, self._used = self._used, set()
        if used:
            try:
                await self._database.write(keys.mark_used, used)
            except Exception:
                self._used |= used  # For the next call.
                raise
        return WRITE_USES_SECONDS

    async def install_first(self, bootstrap_key: str | None) -> str | None:
        """Create the first project and an operator's key in an empty database; None if there are keys already.

        A database that has keys is left unchanged even if `bootstrap_key` differs from them: it is for the first start.
        """
        key_id, generated = make_key()
        key = bootstrap_key or generated
        first = Principal(new_id(), key_id, "first key", frozenset(Scope))
        return key if await self._database.write(_install, first, digest_of(key)) else None


async def _install(connection: Connection, first: Principal, digest: bytes) -> bool:
    await keys.lock_keys(connection)
    if await keys.any_key(connection):
        return False
    project = await projects.insert_project(connection, first.project_id, DEFAULT_PROJECT)
    audit.record(connection, audit.project_made(None, project))
    stored = await keys.insert_key(connection, first, digest)
    if stored is not None:
        audit.record(connection, audit.key_changed(Action.KEYS_CREATE, None, None, stored))
    return True
