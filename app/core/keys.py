"""API keys: shown once, stored by digest, and checked from memory while nothing changes."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.core import audit
from app.core.guesses import Guesses
from app.core.refusals import Refusals
from app.db import key_lookups, keys, projects
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.domain.audit import Action
from app.domain.errors import ThrottledError, UnauthorizedError
from app.domain.ids import new_id
from app.domain.key_text import digest_of, is_mistyped, make_key
from app.domain.principal import KeyChange, Principal, Scope
from app.live.read_batcher import ReadBatcher

MAX_KEY_LENGTH = 255
"""The longest bootstrap key allowed; anything longer is refused before it is hashed."""

REMEMBERED_SECONDS = 2.0
"""A revoked key is refused everywhere within this time, even if the notification is lost."""
RENEWED_SECONDS = 1.0
"""A key in use is looked up again after this time, in the background: no request has to wait for it."""
MAX_REMEMBERED = 10_000

WRITE_USES_SECONDS = 60.0
"""`last_used_at` is for finding keys that are no longer used, for which a minute is precise enough."""

DEFAULT_PROJECT = "default"


@dataclass(slots=True)
class _Remembered:
    principal: Principal
    since: float


class ApiKeys:
    """Checks keys, and creates the first one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._digests: ReadBatcher[bytes, Principal] = ReadBatcher(database, key_lookups.select_by_digests)
        """One query at a time, whatever is guessed: strangers take one connection of the pool, and no right key waits
        longer than two of these queries take.
        """
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        """By the key itself, which is in memory with its requests anyway: a digest for each request would cost more
        than the rest of the check.
        """
        self._guesses = Guesses()
        self.refusals = Refusals()
        self._used: set[tuple[UUID, str]] = set()
        self._looking: dict[str, asyncio.Task[Principal | None]] = {}
        """Look-ups under way: a hundred requests of a new key are one query."""

    def remembered(self, key: str) -> Principal | None:
        """Return the principal of a key that was checked within the last two seconds; None if it is not remembered."""
        known = self._remembered.get(key)
        if known is None:
            return None
        age = asyncio.get_running_loop().time() - known.since
        if age >= RENEWED_SECONDS:
            if age >= REMEMBERED_SECONDS:
                return None
            self._look_up(key)
        return None if _expired(known.principal) else known.principal

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
            principal = await asyncio.shield(self._look_up(key))
            is_wrong = principal is None
        finally:
            if not is_wrong:
                self._guesses.take_back(address)
        if principal is None:
            if seconds_left > 0:
                raise ThrottledError("Too many wrong keys came from this address; wait before the next.", seconds_left)
            raise UnauthorizedError("This API key is not valid.")
        return principal

    def _look_up(self, key: str) -> asyncio.Task[Principal | None]:
        looking = self._looking.get(key)
        if looking is None:
            looking = self._looking[key] = asyncio.create_task(self._read(key))
            looking.add_done_callback(self._seen)
        return looking

    async def _read(self, key: str) -> Principal | None:
        task, since = asyncio.current_task(), asyncio.get_running_loop().time()
        try:
            principal = await self._digests.get(digest_of(key))
        finally:
            # If this is not the latest look-up, some key was revoked in the meantime, and the result may be older.
            is_latest = self._looking.get(key) is task
            if is_latest:
                del self._looking[key]
        if principal is None:
            self._remembered.pop(key, None)
            return None
        self._used.add((principal.project_id, principal.key_id))
        if is_latest:
            self._remembered[key] = _Remembered(principal, since)
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return principal

    @staticmethod
    def _seen(looking: "asyncio.Task[Principal | None]") -> None:
        # Callers that wait get the error. Nobody waits for a renewal: the next request looks the key up itself.
        if not looking.cancelled():
            looking.exception()

    def known(self, key: str) -> Principal | None:
        """Return the principal of a key as of its last check, however long ago. It authorises nothing."""
        remembered = self._remembered.get(key)
        return None if remembered is None or _expired(remembered.principal) else remembered.principal

    def forget(self, changes: Sequence[KeyChange] | None) -> None:
        """Forget the keys that some process changed or revoked; None: any may have been.

        Only these: a look-up of every key in use, whenever one is revoked, is a crowd that others can call up.
        """
        if changes is None:
            self._remembered.clear()
        else:
            changed = {change.key for change in changes}
            for key, known in list(self._remembered.items()):
                if known.principal.ref in changed:
                    del self._remembered[key]
        # What is being looked up may have been read before the change.
        self._looking.clear()

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


async def prepare(database_url: str, bootstrap_key: str | None) -> str | None:
    """Install the first key in an empty database and give it; None where there are keys already."""
    database = Database(make_engine(database_url, pool_size=1))
    try:
        return await ApiKeys(database).install_first(bootstrap_key)
    finally:
        await database.close()


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


def _expired(principal: Principal) -> bool:
    # The only use of the process's clock: a remembered key is at most two seconds old, and its expiry is checked again
    # by the database's clock after that.
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)
