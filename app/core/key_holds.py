"""What keys hold open: waits, claims, streams, uploads. All of it ends within two seconds of its key's own end.

A key is checked before a call begins. A call that then stays for minutes is ended here: at once where a notification
says that its key has ended, and by a look into the database each second otherwise, because notifications can be lost
and an end that comes by itself has none.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

from app.db import key_lookups
from app.db.engine import Database
from app.domain.principal import KeyChange, KeyRef, Principal
from app.live.loop import Loop

CHECK_SECONDS: Final = 1.0


class Hold:
    """One call that is held open; `end` is called when its key has ended, and must not block."""

    __slots__ = ("end", "ended", "key")

    def __init__(self, key: KeyRef, end: Callable[[], object]) -> None:
        self.key = key
        self.end = end
        self.ended = False
        """Whether the key has ended while this was held."""


class KeyHolds(Loop):
    """All held calls of this process, by key. One query a second for all of them, none where nothing is held."""

    def __init__(self, database: Database) -> None:
        super().__init__("key holds")
        self._database = database
        self._by_key: dict[KeyRef, set[Hold]] = {}
        self._expiries: dict[KeyRef, float] = {}
        """When keys expire, by the event loop's clock: as many seconds from now as the database says."""
        self._some = asyncio.Event()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def add(self, caller: Principal, end: Callable[[], object]) -> Hold:
        """Register a call that is held open under a key."""
        hold = Hold(caller.ref, end)
        holds = self._by_key.get(hold.key)
        if holds is None:
            self._by_key[hold.key] = {hold}
            if caller.expires_at is not None:
                # The database says how long that is from now.
                self._changed.set()
            self._some.set()
        else:
            holds.add(hold)
        return hold

    def remove(self, hold: Hold) -> None:
        """Forget a call that has ended; harmless when repeated."""
        holds = self._by_key.get(hold.key)
        if holds is not None:
            holds.discard(hold)
            if not holds:
                self._forget(hold.key)

    def keys_changed(self, changes: Sequence[KeyChange] | None) -> None:
        """End what is held under keys that have ended, and check the others of these; None: any may have changed."""
        for change in () if changes is None else changes:
            if change.ended:
                self._end(change.key)
        if changes is None or any(change.key in self._by_key for change in changes):
            self._changed.set()

    async def run_once(self) -> None:
        """Rest until a second is over, a key changes or one expires, and check all that hold something."""
        await self._some.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rest()):
                await self._changed.wait()
        self._changed.clear()
        await self.check()

    async def check(self) -> None:
        """End what is held under keys that are not valid any more."""
        refs = list(self._by_key)
        if not refs:
            self._some.clear()
            return
        valid = await self._database.read(key_lookups.select_valid, refs)
        now = asyncio.get_running_loop().time()
        for ref in refs:
            if ref not in valid:
                self._end(ref)
            elif ref in self._by_key:
                seconds_left = valid[ref]
                if seconds_left is None:
                    self._expiries.pop(ref, None)
                else:
                    self._expiries[ref] = now + seconds_left

    def _rest(self) -> float:
        if not self._expiries:
            return CHECK_SECONDS
        return min(min(self._expiries.values()) - asyncio.get_running_loop().time(), CHECK_SECONDS)

    def _end(self, key: KeyRef) -> None:
        for hold in tuple(self._by_key.get(key, ())):
            hold.ended = True
            hold.end()
        self._forget(key)

    def _forget(self, key: KeyRef) -> None:
        self._by_key.pop(key, None)
        self._expiries.pop(key, None)
