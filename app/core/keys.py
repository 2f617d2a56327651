"""API keys: shown once, stored by digest, and checked from memory while nothing changes."""

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
"""The longest bootstrap key allowed; anything longer is refused before it is hashed."""

REMEMBERED_SECONDS = 2.0
"""A revoked key is refused everywhere within this time, even if the notification is lost."""
RENEWED_SECONDS = 1.0
"""A key in use is looked up again after this time, in the background: no request has to wait for it."""
MAX_REMEMBERED = 10_000

WRONG_KEYS_ALLOWED = 20
WRITE_USES_SECONDS = 60.0
"""`last_used_at` is for finding keys that are no longer used, for which a minute is precise enough."""
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
    """Checks keys, and creates the first one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        """By the key itself, which is in memory with its requests anyway: a digest for each request would cost more
        than the rest of the check.
        """
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()
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
        """Return the principal of a key; raises UnauthorizedError, or ThrottledError for an address that guesses.

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
        if len(key) > MAX_KEY_LENGTH:
            raise UnauthorizedError("This API key is not valid.")
        found = self.remembered(key)
        if found is not None:
            return found
        now = asyncio.get_running_loop().time()
        known = self._remembered.get(key)
        if known is None:
            # A key that was valid a moment ago is never throttled for the guesses of others at the same address.
            self._throttle(address, now)

        # Shielded: a caller that is cancelled does not cancel the look-up for the others.
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
        try:
            principal = await self._database.read(keys.select_by_digest, digest_of(key))
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

    def forget(self) -> None:
        """Forget all keys, because some process created, changed or revoked one."""
        self._remembered.clear()
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


def _expired(principal: Principal) -> bool:
    # The only use of the process's clock: a remembered key is at most two seconds old, and its expiry is checked again
    # by the database's clock after that.
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)
