"""Principals by the secret that stands for them, kept for two seconds and renewed in the background."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

from app.domain.principal import KeyChange, Principal
from app.live.read_batcher import ReadBatcher

REMEMBERED_SECONDS: Final = 2.0
"""A revoked key is refused everywhere within this time, even if the notification is lost."""
RENEWED_SECONDS: Final = 1.0
"""A secret in use is looked up again after this time, in the background: no request has to wait for it."""
MAX_REMEMBERED: Final = 10_000

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Remembered:
    principal: Principal
    since: float


class RememberedPrincipals(Generic[K]):
    """Looks secrets up, and remembers for a short time whom they stand for.

    By the secret itself, which is in memory with its requests anyway: a digest for each request would cost more than
    the rest of the check.
    """

    def __init__(
        self, reads: ReadBatcher[K, Principal], key_of: Callable[[str], K], note_use: Callable[[K, Principal], None]
    ) -> None:
        """`key_of` returns what a secret is looked up by; `note_use` is called for each look-up that finds one."""
        self._reads = reads
        """One query at a time, whatever is guessed: strangers take one connection of the pool, and no right secret
        waits longer than two of these queries take.
        """
        self._key_of = key_of
        self._note_use = note_use
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._looking: dict[str, asyncio.Task[Principal | None]] = {}
        """Look-ups under way: a hundred requests with a new secret are one query."""

    def get(self, secret: str) -> Principal | None:
        """Return the principal of a secret that was checked within the last two seconds; None if it is not known."""
        known = self._remembered.get(secret)
        if known is None:
            return None
        age = asyncio.get_running_loop().time() - known.since
        if age >= RENEWED_SECONDS:
            if age >= REMEMBERED_SECONDS:
                return None
            self.look_up(secret)
        return None if _expired(known.principal) else known.principal

    def last(self, secret: str) -> Principal | None:
        """Return the principal of a secret as of its last check, however long ago. It authorises nothing."""
        remembered = self._remembered.get(secret)
        return None if remembered is None or _expired(remembered.principal) else remembered.principal

    def look_up(self, secret: str) -> "asyncio.Task[Principal | None]":
        """Begin to look a secret up, or join the look-up that is under way. Shield it: others may wait for it too."""
        looking = self._looking.get(secret)
        if looking is None:
            looking = self._looking[secret] = asyncio.create_task(self._read(secret))
            looking.add_done_callback(self._seen)
        return looking

    async def _read(self, secret: str) -> Principal | None:
        task, since = asyncio.current_task(), asyncio.get_running_loop().time()
        key = self._key_of(secret)
        try:
            principal = await self._reads.get(key)
        finally:
            # If this is not the latest look-up, some key was revoked in the meantime, and the result may be older.
            is_latest = self._looking.get(secret) is task
            if is_latest:
                del self._looking[secret]
        if principal is None:
            self._remembered.pop(secret, None)
            return None
        self._note_use(key, principal)
        if is_latest:
            self._remembered[secret] = _Remembered(principal, since)
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return principal

    @staticmethod
    def _seen(looking: "asyncio.Task[Principal | None]") -> None:
        # Callers that wait get the error. Nobody waits for a renewal: the next request looks the secret up itself.
        if not looking.cancelled():
            looking.exception()

    def forget(self, changes: Sequence[KeyChange] | None) -> None:
        """Forget what stands for keys that some process changed or revoked; None: any may have been.

        Only these: a look-up of every secret in use, whenever a key is revoked, is a crowd that others can call up.
        """
        if changes is None:
            self._remembered.clear()
        else:
            changed = {change.key for change in changes}
            for secret, known in list(self._remembered.items()):
                if known.principal.ref in changed:
                    del self._remembered[secret]
        # What is being looked up may have been read before the change.
        self._looking.clear()

    def forget_one(self, secret: str) -> None:
        """Forget one secret, which is good no longer."""
        self._remembered.pop(secret, None)
        self._looking.pop(secret, None)


def _expired(principal: Principal) -> bool:
    # The only use of the process's clock: a remembered key is at most two seconds old, and its expiry is checked again
    # by the database's clock after that.
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)
