"""Writes down, once a minute and for all of them at once, which keys this process has seen in use or has refused."""

import asyncio

from app.core.keys import Keys
from app.live.service import Loop

WRITE_SECONDS = 60.0
"""`last_used_at` is for finding keys that nobody uses any more; nobody needs it finer."""


class KeyUses(Loop):
    """Keeps `last_used_at`, and writes how many keys were refused since an address's last line."""

    def __init__(self, keys: Keys) -> None:
        super().__init__("key uses")
        self._keys = keys

    async def turn(self) -> None:
        """Wait a minute, then write."""
        await asyncio.sleep(WRITE_SECONDS)
        self._keys.refusals.flush()
        await self._keys.write_uses()

    async def stop(self) -> None:
        """End, and write what refusals are not written yet."""
        await super().stop()
        self._keys.refusals.flush(whole=True)
