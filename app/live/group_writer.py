"""Group commit: writes that arrive together commit together, and each caller gets its own outcome after the commit.

One batch is in flight at a time, so calls for one job apply in the order in which they came. If a batch fails as a
whole, it is split until the row at fault stands alone: a row that fails, fails alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.engine import Database
from app.domain.errors import JobtrackError, UnavailableError
from app.live.change_feed import Change

MAX_BATCH = 1_000

Request = TypeVar("Request")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Applied(Generic[Result]):
    """What a batch came to: an outcome per request, in order, and the changes to announce after the commit."""

    outcomes: Sequence[Result | JobtrackError]
    changes: Sequence[Change] = field(default=())


Apply: TypeAlias = Callable[[AsyncConnection, Sequence[Request]], Awaitable[Applied[Result]]]


class GroupWriter(Generic[Request, Result]):
    """Collects requests and applies them in one transaction after the other."""

    def __init__(
        self,
        database: Database,
        apply: Apply[Request, Result],
        announce: Callable[[Iterable[Change]], None],
        *,
        max_batch: int = MAX_BATCH,
    ) -> None:
        self._database = database
        self._apply = apply
        self._announce = announce
        self._max_batch = max_batch
        self._waiting: deque[tuple[Request, asyncio.Future[Result | JobtrackError]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def submit(self, request: Request) -> Result:
        """Write one request; gives its result after the commit, or raises its own error."""
        (outcome,) = await self.submit_many((request,))
        if isinstance(outcome, JobtrackError):
            raise outcome
        return outcome

    async def submit_many(self, requests: Iterable[Request]) -> list[Result | JobtrackError]:
        """Write requests; gives their outcomes in the same order. The writing goes on if the caller leaves."""
        loop = asyncio.get_running_loop()
        entries = [(request, loop.create_future()) for request in requests]
        self._waiting.extend(entries)
        if self._writing is None and self._waiting:
            self._writing = asyncio.create_task(self._write())
        return [await future for _, future in entries]

    async def _write(self) -> None:
        try:
            await self._write_all()
        finally:
            self._writing = None

    async def _write_all(self) -> None:
        while self._waiting:
            size = min(self._max_batch, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            outcomes = await self._commit([request for request, _ in batch])
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, JobtrackError) or not isinstance(outcome, Exception):
                    future.set_result(outcome)
                else:
                    future.set_exception(outcome)

    async def _commit(self, requests: Sequence[Request]) -> Sequence[Result | Exception]:
        try:
            applied = await self._database.write(lambda connection: self._apply(connection, requests))
        except UnavailableError as error:
            return [error] * len(requests)
        except Exception as error:  # noqa: BLE001 - the caller at fault gets it, and only that one
            if len(requests) == 1:
                return [error]
            middle = len(requests) // 2
            return [*await self._commit(requests[:middle]), *await self._commit(requests[middle:])]
        self._announce(applied.changes)
        return applied.outcomes
