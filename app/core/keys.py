"""API keys: made once, stored by digest, checked without a query for as long as nothing changed."""

import asyncio
import hashlib
import secrets
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.core import audit
from app.core.refusals import Refusals
from app.db import keys, projects
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Action
from app.domain.errors import ThrottledError, UnauthorizedError
from app.domain.ids import new_id
from app.domain.principal import Principal, Scope

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "jt"
ID_LENGTH = 12
SECRET_LENGTH = 43
"""Of 62 letters each: 256 bits."""
CHECKSUM_LENGTH = 6

MAX_KEY_LENGTH = 255
"""As long as a bootstrap key may be; anything longer is refused before it is hashed."""

REMEMBERED_SECONDS = 2.0
"""A revoked key is refused everywhere within this time, feed or no feed."""
RENEWED_SECONDS = 1.0
"""A key in use is looked up again after this time, while it is still good: no request has to wait for it."""
MAX_REMEMBERED = 10_000

WRONG_KEYS_ALLOWED = 20
WRITE_USES_SECONDS = 60.0
"""`last_used_at` is for finding keys that nobody uses any more; nobody needs it finer."""
WRONG_KEYS_SECONDS = 10.0
MAX_ADDRESSES = 10_000

DEFAULT_PROJECT = "default"


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(reversed(letters))


def make_key() -> tuple[str, str]:
    """Generate a key `jt_<id>_<secret><checksum>`; returns its id and the key. The checksum shows a typo."""
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    body = f"{PREFIX}_{key_id}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return key_id, body + _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def digest_of(key: str) -> bytes:
    """Digest a key. A fast hash is right here: the input is uniformly random, so stretching would buy nothing."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class _Remembered:
    principal: Principal
    since: float


class ApiKeys:
    """Checks keys, and makes the first one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        """By the key itself, which is in the memory of its requests anyway: a digest of it for each of them would cost
        more than everything else about it.
        """
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self.refusals = Refusals()
        self._used: set[tuple[UUID, str]] = set()
        self._looking: dict[str, asyncio.Task[Principal | None]] = {}
        """Look-ups under way: a hundred requests of a new key are one query."""

    def remembered(self, key: str) -> Principal | None:
        """Return whose key this is, if it was checked within the last two seconds; None leaves that open."""
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
        """Return whose key this is; raises UnauthorizedError, or ThrottledError for an address that guesses.

        The one place where a key is refused, so that every refusal is counted for the log.
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
        if len(key) > MAX_KEY_LENGTH:
            raise UnauthorizedError("This API key is not valid.")
        found = self.remembered(key)
        if found is not None:
            return found
        now = asyncio.get_running_loop().time()
        known = self._remembered.get(key)
        if known is None:
            # A key that was right a moment ago is never kept out by others' guesses from the same address.
            self._throttle(address, now)

        # Shielded: who leaves does not take the look-up away from the others.
        principal = await asyncio.shield(self._look_up(key))
        if principal is None:
            self._count_wrong(address, now)
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
        digest = digest_of(key)
        try:
            principal = await self._database.read(lambda connection: keys.select_by_digest(connection, digest))
        finally:
            # Some key was revoked meanwhile if this is not the one: what was read may be older than that.
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
        # An error reaches those who wait. Of a renewal nobody does: the next request finds out by itself.
        if not looking.cancelled():
            looking.exception()

    def known(self, key: str) -> Principal | None:
        """Return whose key this was when it was last checked here, however long ago: it permits nothing."""
        remembered = self._remembered.get(key)
        return None if remembered is None or _expired(remembered.principal) else remembered.principal

    def forget(self) -> None:
        """Forget all keys, because one of them was made or revoked somewhere."""
        self._remembered.clear()
        self._looking.clear()

    async def write_uses(self) -> float:
        """Write down which keys were used since the last call, and log which were refused; returns the seconds until
        the next. For all keys at once: a write per request would make the key's row the hottest of all.
        """
        self.refusals.flush()
        used, self._used = self._used, set()
        if used:
            await self._database.write(keys.mark_used, used)
        return WRITE_USES_SECONDS

    def _throttle(self, address: str, now: float) -> None:
        count, since = self._wrong.get(address, (0, now))
        left = since + WRONG_KEYS_SECONDS - now
        if count >= WRONG_KEYS_ALLOWED and left > 0:
            raise ThrottledError("Too many wrong keys from this address; wait, then use a right one.", left)

    def _count_wrong(self, address: str, now: float) -> None:
        count, since = self._wrong.pop(address, (0, now))
        if now - since > WRONG_KEYS_SECONDS:
            count, since = 0, now
        self._wrong[address] = (count + 1, since)
        while len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)

    async def install_first(self, bootstrap_key: str | None) -> str | None:
        """Make the first project and an operator's key in an empty database; None if there are keys already.

        A database whose keys exist is left alone even if `bootstrap_key` is another one: it is for the first start.
        """
        key_id, made = make_key()
        key = bootstrap_key or made
        project_id = new_id()

        async def work(connection: Connection) -> bool:
            await keys.lock_keys(connection)
            if await keys.any_key(connection):
                return False
            project = await projects.insert_project(connection, project_id, DEFAULT_PROJECT)
            audit.record(connection, audit.project_made(None, project))
            first = await keys.insert_key(connection, _operator(project_id, key_id), digest_of(key))
            if first is not None:
                audit.record(connection, audit.key_changed(Action.KEYS_CREATE, None, None, first))
            return True

        return key if await self._database.write(work) else None


def _operator(project_id: UUID, key_id: str) -> Principal:
    return Principal(project_id, key_id, "first key", frozenset(Scope))


def _expired(principal: Principal) -> bool:
    # The one place where this clock is asked: a remembered key is at most two seconds old, and its end is re-checked
    # by the database's clock after that.
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)
