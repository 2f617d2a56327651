"""What keys hold open: waits, claims, streams, uploads. All of it ends within two seconds of its key's own end.

A key is checked before a call begins. A call that then stays for minutes is ended here: at once where a notification
says that its key has ended, and by a look into the database otherwise, because notifications can be lost and an end
that comes by itself has none.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.db import key_lookups
from app.db.engine import Database
from app.domain.errors import KeyLimitError, TooManyWaitsError
from app.domain.held import KEY_SHARE_PERCENT, MOST, Holding, Holdings, Kind
from app.domain.principal import KeyChange, KeyRef, Principal
from app.live.loop import Loop

CHECK_SECONDS: Final = 1.7
RETRY_SECONDS: Final = 5.0
"""When a key that holds too much may come again: what it holds lasts for many seconds, rather than for a moment."""


class Hold:
    """One call that is held open; `end` is called when its key has ended, and must not block."""

    __slots__ = ("end", "ended", "holding", "key")

    def __init__(self, key: KeyRef, end: Callable[[], object], holding: Holding) -> None:
        self.key = key
        self.holding = holding
        self.end = end
        self.ended = False
        """Whether the key has ended while this was held."""


class KeyHolds(Loop):
    """All held calls of this process, by key. One query in two seconds for them, none where nothing is held."""

    def __init__(
        self,
        database: Database,
        *,
        most: Mapping[Kind, int] = MOST,
        key_share_percent: int = KEY_SHARE_PERCENT,
    ) -> None:
        super().__init__("key holds")
        self._database = database
        self._most = most
        self._most_of_key = {kind: max(1, count * key_share_percent // 100) for kind, count in most.items()}
        self._all = Holdings()
        self._by_key: dict[KeyRef, set[Hold]] = {}
        self._of_key: dict[KeyRef, Holdings] = {}
        self._expiries: dict[KeyRef, float] = {}
        """When keys expire, by the event loop's clock: as many seconds from now as the database says."""
        self._some = asyncio.Event()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def count(self, kind: Kind) -> int:
        """Return how much of a kind is held open by all keys."""
        return self._all.count(kind)

    def check_room(self, caller: Principal, holding: Holding) -> None:
        """Check that a key may hold this open, too; raises KeyLimitError, or TooManyWaitsError for the process."""
        of_key = self._of_key.get(caller.ref)
        kind = (of_key or Holdings()).excess(holding, self._most_of_key)
        if kind is not None:
            most = self._most_of_key[kind]
            raise KeyLimitError(f"One key may hold at most {most} {kind} open in a process.", RETRY_SECONDS)
        kind = self._all.excess(holding, self._most)
        if kind is not None:
            raise TooManyWaitsError(f"This process holds at most {self._most[kind]} {kind} open.")

    def add(self, caller: Principal, end: Callable[[], object], holding: Holding) -> Hold:
        """Register a call that is held open under a key, and what it takes."""
        hold = Hold(caller.ref, end, holding)
        self._all.add(holding)
        holds = self._by_key.get(hold.key)
        if holds is None:
            self._by_key[hold.key] = {hold}
            self._of_key[hold.key] = Holdings()
            if caller.expires_at is not None:
                # The database says how long that is from now.
                self._changed.set()
            self._some.set()
        else:
            holds.add(hold)
        self._of_key[hold.key].add(holding)
        return hold

    def remove(self, hold: Hold) -> None:
        """Forget a call that has ended; harmless when repeated."""
        holds = self._by_key.get(hold.key)
        if holds is not None and hold in holds:
            holds.remove(hold)
            self._all.remove(hold.holding)
            self._of_key[hold.key].remove(hold.holding)
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
        """Rest until the next check, until a key changes or one expires, and check all that hold something."""
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
        holds = self._by_key.get(key, ())
        self._forget(key)
        for hold in holds:
            self._all.remove(hold.holding)
            hold.ended = True
            hold.end()

    def _forget(self, key: KeyRef) -> None:
        self._by_key.pop(key, None)
        self._of_key.pop(key, None)
        self._expiries.pop(key, None)
