"""Refused keys in the log: a line at an address's first one, then one a minute with how many there were since.

An attacker chooses how often to guess and from how many addresses. So the number of addresses with lines of their own
in a minute is bounded, and all others share one, which bounds both the memory and the lines per minute.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

LINE_SECONDS: Final = 60.0
MAX_ADDRESSES: Final = 1_000
OTHERS: Final = "others"
"""Stands for all addresses beyond those."""


@dataclass(slots=True)
class _Count:
    """The refusals of an address since its last line."""

    since: float
    wrong: int = 0
    throttled: int = 0


class Refusals:
    """Counts the keys that this process refuses, by address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        """In the order of their last lines, so that those that are due stand first."""

    def __len__(self) -> int:
        return len(self._counts)

    def note(self, address: str, *, throttled: bool = False) -> None:
        """Count a refusal; `throttled` is one of a wrong key behind many others."""
        self.flush()
        if address not in self._counts and len(self._counts) >= MAX_ADDRESSES:
            address = OTHERS
        count = self._counts.get(address)
        is_first = count is None
        if count is None:
            count = self._counts[address] = _Count(self._clock())
        if throttled:
            count.throttled += 1
        else:
            count.wrong += 1
        if is_first:
            self._write(address, count)

    def flush(self, *, whole: bool = False) -> None:
        """Write what is due: what was counted at least a minute after the last line; all of it with `whole`."""
        now = self._clock()
        while self._counts:
            address, count = next(iter(self._counts.items()))
            if now - count.since < LINE_SECONDS and not whole:
                return
            del self._counts[address]
            if count.wrong or count.throttled:
                self._write(address, count)
                if not whole:
                    # Kept for another minute, in which its next refusal has no line of its own.
                    self._counts[address] = count

    def _write(self, address: str, count: _Count) -> None:
        now = self._clock()
        log.warning(
            "keys refused",
            address=address,
            wrong=count.wrong,
            throttled=count.throttled,
            seconds=round(now - count.since, 3),
        )
        count.since, count.wrong, count.throttled = now, 0, 0
