"""Reads that many callers want at the same time: one query for all who want the same, and none waits for another's.

Of jobs, which are read by the thousand, `read_batcher` makes one query of many keys. A page of one job's events or
lines is wanted by all who follow this job, when it changes, and by nobody else.
"""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from app.db.connection import Connection
from app.db.engine import Database
from app.live.read_batcher import ReadBatcher

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SharedReads(Generic[Key, Value]):
    """Reads by key, each shared by those who come before its query is sent."""

    def __init__(self, database: Database, load: Callable[[Connection, Key], Awaitable[Value]]) -> None:
        self._database = database
        self._load = load
        self._reads: dict[Key, _Read[Key, Value]] = {}

    async def get(self, key: Key) -> Value:
        """Read what is under a key as it is now, or a little later."""
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = _Read(ReadBatcher(self._database, self._load_all))
        read.callers += 1
        try:
            return (await read.batcher.get_many((key,)))[key]
        finally:
            read.callers -= 1
            if not read.callers:
                del self._reads[key]

    async def _load_all(self, connection: Connection, keys: Sequence[Key]) -> dict[Key, Value]:
        return {key: await self._load(connection, key) for key in keys}


class _Read(Generic[Key, Value]):
    __slots__ = ("batcher", "callers")

    def __init__(self, batcher: ReadBatcher[Key, Value]) -> None:
        self.batcher = batcher
        self.callers = 0
