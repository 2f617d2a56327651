"""Wrong keys by address, and when there are too many of them.

A key has 256 random bits, so nobody guesses one. What is slowed down is a client that sends a wrong one over and over.
A right key is never kept out for it: many may come from one address.
"""

import asyncio
from collections import OrderedDict
from typing import Final

WRONG_KEYS_ALLOWED: Final = 20
WRONG_KEYS_SECONDS: Final = 10.0
MAX_ADDRESSES: Final = 10_000


class Guesses:
    """Counts keys that are not known to be right, by address, for some seconds each."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def count(self, address: str) -> float:
        """Count a key before it is looked up; returns how long no further wrong one is allowed, 0 if this one is.

        Before, so that a hundred at once are a hundred; `take_back` follows where it turns out to be right.
        """
        now = asyncio.get_running_loop().time()
        count, since = self._by_address.pop(address, (0, now))
        if now - since > WRONG_KEYS_SECONDS:
            count, since = 0, now
        self._by_address[address] = (count + 1, since)
        while len(self._by_address) > MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        return 0.0 if count < WRONG_KEYS_ALLOWED else since + WRONG_KEYS_SECONDS - now

    def take_back(self, address: str) -> None:
        """Take back what was counted for a key that was not wrong."""
        count, since = self._by_address.get(address, (0, 0.0))
        if count > 1:
            self._by_address[address] = (count - 1, since)
        else:
            self._by_address.pop(address, None)
