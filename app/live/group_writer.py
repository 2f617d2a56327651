"""Group commit: writes that arrive together commit together, and each caller gets its own outcome after the commit.

One batch is in flight at a time, so calls for one job apply in the order in which they came. If a batch fails as a
whole, it is split until the row at fault stands alone: a row that fails, fails alone. A row that another
transaction has locked is deferred to the next batch, so that only its own caller waits for it.

Where no order is promised, as among new jobs, a second batch may be in flight if it is full: the database writes one
while this process builds the other (28,000 jobs a second in batches of 1,000, where one at a time reached 23,000). Of a
call that is cut into several batches, claims may then take later rows before earlier ones.

Right after a batch of several callers there is a short gather: they are about to call again, and one batch of sixteen
costs half of what two of eight do. A lone caller, whose batches are of one, is always written at once.

Requests that one statement can do are done by it first, where a writer has a way: the transaction is for the rest.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic

import structlog

from app.db.engine import Database
from app.db.shares import ROOM_FOR_TWO
from app.domain.errors import JobtrackError, UnansweredError, UnavailableError
from app.live.change_feed import Change
from app.live.group_entries import Entry, fail, stood_behind
from app.live.outcomes import Apply, ApplyAtOnce, Deferred, Request, Result

log = structlog.get_logger(__name__)

MAX_BATCH: Final = 1_000
MAX_ROWS: Final = 10_000
"""Rows that one batch may write: a thousand reports of a thousand items each must not be one transaction."""
DEFERRED_PAUSE_SECONDS: Final = 0.01
GATHER_SECONDS: Final = 0.001
"""The longest gather: a timer may be late by as much again, and a batch takes about as long."""


class GroupWriter(Generic[Request, Result]):
    """Collects requests and applies them, a batch in one transaction.

    `row_count` returns how many rows a request writes, for the bound on a batch. `at_once` does what it can of a batch
    in statements that commit themselves; it raises nothing, and what it leaves out is applied. Without `ordered` a
    second batch may overtake the first.
    """

    def __init__(
        self,
        database: Database,
        apply: Apply[Request, Result],
        announce: Callable[[Iterable[Change]], None],
        *,
        at_once: ApplyAtOnce[Request, Result] | None = None,
        max_batch: int = MAX_BATCH,
        row_count: Callable[[Request], int] = lambda _: 1,
        max_rows: int = MAX_ROWS,
        ordered: bool = True,
    ) -> None:
        self._database = database
        self._apply = apply
        self._announce = announce
        self._at_once = at_once
        self._max_batch = max_batch
        self._row_count = row_count
        self._max_rows = max_rows
        self._waiting: deque[Entry[Request, Result]] = deque()
        self._ordered = ordered or database.connections_allowed() < ROOM_FOR_TWO
        self._writing: asyncio.Task[None] | None = None
        self._writing_beside: asyncio.Task[None] | None = None
        self._gathering: asyncio.Event | None = None
        self._last_size, self._last_ended_at = 0, float("-inf")

    @property
    def idle(self) -> bool:
        """Whether nothing is being written and nothing waits to be."""
        return self._writing is None and self._writing_beside is None and not self._waiting

    async def submit(self, request: Request) -> Result:
        """Write one request; returns its result after the commit, or raises its own error."""
        (outcome,) = await self._queue((request,))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def submit_many(self, requests: Iterable[Request]) -> list[Result | JobtrackError]:
        """Write requests; returns their outcomes in the same order. The writing goes on if the caller leaves.

        An unexpected error of one of them is its own outcome alone, as an internal error.
        """
        outcomes: list[Result | JobtrackError] = []
        for outcome in await self._queue(requests):
            if isinstance(outcome, Exception) and not isinstance(outcome, JobtrackError):
                log.error("a row of a batch failed unexpectedly", exc_info=outcome)
                outcomes.append(JobtrackError("Something went wrong with this row; the others are not affected."))
            else:
                outcomes.append(outcome)
        return outcomes

    async def _queue(self, requests: Iterable[Request]) -> list[Result | Exception]:
        loop = asyncio.get_running_loop()
        entries: list[Entry[Request, Result]] = [
            # Not `Entry[Request, Result](...)`, of which the half would be spent on its type.
            Entry(request, loop.create_future(), self._row_count(request))
            for request in requests
        ]
        self._waiting.extend(entries)
        if self._writing is None and self._waiting:
            self._writing = asyncio.create_task(self._write())
        elif self._gathering is not None and len(self._waiting) >= self._last_size:
            self._gathering.set()
        elif not self._ordered and self._is_full and self._writing_beside is None:
            self._writing_beside = asyncio.create_task(self._write_beside())
        return [await entry.future for entry in entries]

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                if self._waiting:
                    await self._write_next()
        except BaseException:
            # A caller must not wait for a task that is gone.
            self._fail_waiting(UnavailableError("The write was given up."))
            raise
        finally:
            self._writing = None

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) >= self._max_batch

    async def _write_beside(self) -> None:
        """Write full batches for as long as there are some; of smaller ones, one of all costs less than two of half."""
        try:
            while self._is_full:
                await self._write_next()
        except BaseException:
            if self._writing is None:
                self._fail_waiting(UnavailableError("The write was given up."))
            raise
        finally:
            self._writing_beside = None
        if self._waiting and self._writing is None:
            # Deferred by the last of them, after the other task had found nothing more to do.
            self._writing = asyncio.create_task(self._write())

    async def _write_next(self) -> None:
        batch = self._next_batch()
        try:
            await self._write_batch(batch)
            self._last_size, self._last_ended_at = len(batch), asyncio.get_running_loop().time()
        except BaseException as error:
            # What was committed is not known here.
            fail(batch, error if isinstance(error, Exception) else UnavailableError("The write was given up."))
            if not isinstance(error, Exception):
                raise
            log.exception("writing a batch failed unexpectedly")

    async def _gather(self) -> None:
        """Right after a batch, wait for a moment until as many requests are there as were in that one."""
        is_over = asyncio.get_running_loop().time() - self._last_ended_at > GATHER_SECONDS
        if is_over or len(self._waiting) >= self._last_size:
            return
        self._gathering = asyncio.Event()
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                await self._gathering.wait()
        except TimeoutError:
            pass
        finally:
            self._gathering = None

    async def _write_batch(self, batch: "list[Entry[Request, Result]]") -> None:
        outcomes = await self._commit([entry.request for entry in batch])
        deferred = [entry for entry, outcome in zip(batch, outcomes, strict=True) if not entry.answer(outcome)]
        # Before the requests that arrived since, so that the calls for one job keep their order.
        self._waiting.extendleft(reversed(deferred))
        if any(isinstance(outcome, UnansweredError) for outcome in outcomes):
            # They have waited as long as the batch that they stood behind; unless another is in flight, and well.
            if self._writing is None or self._writing_beside is None:
                self._fail_waiting(stood_behind())
        elif deferred and len(deferred) == len(self._waiting):
            await asyncio.sleep(DEFERRED_PAUSE_SECONDS)

    def _fail_waiting(self, error: Exception) -> None:
        fail(self._waiting, error)
        self._waiting.clear()

    def _next_batch(self) -> list[Entry[Request, Result]]:
        batch = [self._waiting.popleft()]
        rows = batch[0].rows
        while self._waiting and len(batch) < self._max_batch:
            rows += self._waiting[0].rows
            if rows > self._max_rows:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, requests: Sequence[Request]) -> Sequence[Result | Exception | Deferred]:
        if self._at_once is None:
            return await self._commit_together(requests)
        done = await self._at_once(self._database, requests)
        self._announce_committed(done.changes)
        outcomes: dict[int, Result | Exception | Deferred] = dict(done.outcomes)
        rest = [n for n in range(len(requests)) if n not in outcomes]
        if any(isinstance(outcome, UnansweredError) for outcome in done.outcomes.values()):
            outcomes.update(dict.fromkeys(rest, stood_behind()))
        elif rest:
            applied = await self._commit_together([requests[n] for n in rest])
            outcomes.update(zip(rest, applied, strict=True))
        return [outcomes[n] for n in range(len(requests))]

    async def _commit_together(self, requests: Sequence[Request]) -> Sequence[Result | Exception | Deferred]:
        try:
            applied = await self._database.write(self._apply, requests)
        except UnavailableError as error:
            return [error] * len(requests)
        except Exception as error:  # noqa: BLE001 - the caller at fault gets it, and only that one
            if len(requests) == 1:
                return [error]
            middle = len(requests) // 2
            return [
                *await self._commit_together(requests[:middle]),
                *await self._commit_together(requests[middle:]),
            ]
        self._announce_committed(applied.changes)
        return applied.outcomes

    def _announce_committed(self, changes: Sequence[Change]) -> None:
        try:
            self._announce(changes)
        except Exception:
            # It is committed, and its callers hear so. The sweep finds the changes within a second.
            log.exception("changes could not be announced")
