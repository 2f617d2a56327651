"""Coalesces concurrent look-ups into one query per round trip.

While a query is in flight, the look-ups that arrive gather for the next one. A look-up never joins a query that was
already sent: what it reads must have been committed after it was asked for, or a waiter could miss its own wake-up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeAlias, TypeVar

from app.db.connection import Connection
from app.db.engine import Database
from app.domain.errors import UnansweredError, UnavailableError

MAX_KEYS_A_QUERY = 5_000

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

Load: TypeAlias = Callable[[Connection, Sequence[Key]], Awaitable[Mapping[Key, Value]]]


class ReadBatcher(Generic[Key, Value]):
    """Looks keys up, many callers' at a time."""

    def __init__(self, database: Database, load: Load[Key, Value]) -> None:
        self._database = database
        self._load = load
        self._gathering: _Batch[Key, Value] | None = None
        self._sending: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """Look one key up; None if there is nothing under it."""
        return (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Collection[Key]) -> Mapping[Key, Value]:
        """Look keys up; unknown ones are missing from the answer, which may hold other callers' keys too."""
        if not keys:
            return {}
        batch = self._gathering
        if batch is None or len(batch.keys) >= MAX_KEYS_A_QUERY:
            if batch is not None:
                await self._next(batch)
                return await self.get_many(keys)
            batch = self._gathering = _Batch()
        batch.keys.update(dict.fromkeys(keys))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await self._next(batch)

    @staticmethod
    async def _next(batch: "_Batch[Key, Value]") -> Mapping[Key, Value]:
        # A future for each caller: one who leaves takes nothing away from the others, and it is cheaper than a shield.
        found: asyncio.Future[Mapping[Key, Value]] = asyncio.get_running_loop().create_future()
        batch.callers.append(found)
        return await found

    async def _send(self) -> None:
        try:
            while (batch := self._gathering) is not None:
                self._gathering = None
                await self._send_batch(batch)
        finally:
            self._sending = None
            self._fail_gathering(UnavailableError("The look-up was given up."))

    async def _send_batch(self, batch: "_Batch[Key, Value]") -> None:
        try:
            batch.answer(await self._database.read(self._load, list(batch.keys)))
        except UnansweredError as error:
            batch.fail(error)
            # They have waited as long as the query that they stood behind.
            self._fail_gathering(error)
        except BaseException as error:
            # Also one that ends this task: a caller must not wait for a task that is gone.
            batch.fail(error if isinstance(error, Exception) else UnavailableError("The look-up was given up."))
            if not isinstance(error, Exception):
                raise

    def _fail_gathering(self, error: Exception) -> None:
        batch, self._gathering = self._gathering, None
        if batch is not None:
            batch.fail(error)


class _Batch(Generic[Key, Value]):
    __slots__ = ("callers", "keys")

    def __init__(self) -> None:
        self.keys: dict[Key, None] = {}
        self.callers: list[asyncio.Future[Mapping[Key, Value]]] = []

    def answer(self, found: Mapping[Key, Value]) -> None:
        for caller in self.callers:
            if not caller.done():
                caller.set_result(found)

    def fail(self, error: Exception) -> None:
        for caller in self.callers:
            if not caller.done():
                caller.set_exception(error)
