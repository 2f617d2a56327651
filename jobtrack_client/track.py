"""The loop over a job's items that reports on each of them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import operator
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

from jobtrack_client.models import ItemUpdate
from jobtrack_client.outcome import fields_of
from jobtrack_client.stop import JobCancelled
from jobtrack_client.todo import each
from jobtrack_client.tracking import BEGINNING, Mark, Tracking

T = TypeVar("T")

# Where the digest begins if the items come in another order than in the attempt before. It never becomes that of a loop
# from the beginning, so the next attempt compares its items with the finished ones as well.
_OTHER_ORDER = "?"


class Track(Generic[T]):
    """The iterable that `JobContext.track` returns, for `for` in a thread and `async for` in a coroutine."""

    def __init__(
        self,
        tracking: Tracking,
        values: Iterable[T] | AsyncIterable[T],
        *,
        key: Callable[[T], str],
        total: int | None,
        last: bool,
    ) -> None:
        self._tracking = tracking
        self._values: Any = values
        self._key = key
        self._total = total
        self._last = last
        self._number = 0
        self._mark: Mark = BEGINNING
        self._in_work: str | None = None
        self._ended = False

    def __iter__(self) -> Iterator[T]:
        earlier_mark = self._start()
        source = iter(self._values)
        earlier = list(itertools.islice(source, earlier_mark[0]))
        done: frozenset[str] = frozenset()
        if not self._repeats(earlier, earlier_mark):
            done = self._tracking.loop.result(self._tracking.finished, "async for")
            source = itertools.chain(earlier, source)
        for value in source:
            if self._begin(value, done):
                yield value
                self._complete()

    async def __aiter__(self) -> AsyncIterator[T]:
        earlier_mark = self._start()
        source = each(self._values)
        earlier = [value async for value in _first(source, earlier_mark[0])]
        done: frozenset[str] = frozenset()
        if not self._repeats(earlier, earlier_mark):
            done = await self._tracking.finished()
            source = _chain(earlier, source)
        async for value in source:
            if self._begin(value, done):
                yield value
                self._complete()
            # Reports and heartbeats get their turn, also beside a body that awaits nothing.
            await asyncio.sleep(0)

    @contextlib.contextmanager
    def guard(self, *errors: type[Exception]) -> Iterator[None]:
        """Fail the item in work with the code and message of an exception in the block, and let the loop go on.

        With arguments only exceptions of these types; others end the loop and the attempt, as all do without `guard`.
        """
        caught = errors or (Exception,)
        try:
            yield
        except caught as error:
            # What the stop of the handler raises is about the job.
            if self._in_work is None or self._tracking.stop.reason is not None or isinstance(error, JobCancelled):
                raise
            self._fail(self._in_work, error)

    def item(self, **fields: Any) -> None:
        """Update the item in work, as `JobContext.item` does; after a final status it is not marked completed."""
        if self._in_work is None:
            raise RuntimeError("There is no item in work: call this in the body of the loop")
        update = cast("ItemUpdate", {**fields, "key": self._in_work})
        self._tracking.note(update)
        self._tracking.buffer.add_items([update])

    def note(self, key: object) -> None:
        """Note that this item has a final status."""
        self._ended = self._ended or key == self._in_work

    def end(self, error: BaseException | None) -> str | None:
        """End the item in work as the handler has ended; returns its key if the exception was about it."""
        key, stopped = self._in_work, self._tracking.stop.reason is not None
        if key is None or self._ended:
            return None
        if error is None:
            self._complete()
            return None
        if stopped:
            self._tracking.buffer.add_items([{"key": key, "status": "queued"}])
            return None
        self._fail(key, error)
        return key

    def _start(self) -> Mark:
        self._mark = BEGINNING
        self._number, earlier = self._tracking.start(self)
        count = operator.length_hint(self._values, -1) if self._total is None else self._total
        self._tracking.declare(count)
        return earlier

    def _repeats(self, earlier: list[T], mark: Mark) -> bool:
        """Pass over the items that the last attempt has done, if the first ones are the same in the same order."""
        digest = ""
        for value in earlier:
            digest = _next(digest, self._key(value))
        if (len(earlier), digest) != mark:
            self._mark = (0, _OTHER_ORDER)
            return False
        self._mark = mark
        self._tracking.mark(self._number, mark)
        return True

    def _begin(self, value: T, done: frozenset[str]) -> bool:
        """Mark the next item as in work; returns whether there is anything to do."""
        self._tracking.stop.check()
        key = self._key(value)
        if key in done:
            self._advance(key)
            return False
        self._in_work, self._ended = key, False
        self._tracking.buffer.add_items([{"key": key, "status": "processing"}])
        return True

    def _complete(self) -> None:
        if self._in_work is not None:
            if self._last and not self._ended:
                self._tracking.buffer.add_items([{"key": self._in_work, "status": "completed"}])
            self._advance(self._in_work)
        self._in_work = None

    def _fail(self, key: str, error: BaseException) -> None:
        fields = fields_of(error)
        self._ended = True
        self._tracking.buffer.add_items(
            [{"key": key, "status": "failed", "error_code": fields["code"], "error_message": fields["message"]}]
        )

    def _advance(self, key: str) -> None:
        count, digest = self._mark
        self._mark = (count + 1, _next(digest, key))
        self._tracking.mark(self._number, self._mark, key)


def _next(digest: str, key: str) -> str:
    return hashlib.blake2b(f"{digest}{key}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


async def _first(source: AsyncIterator[T], count: int) -> AsyncIterator[T]:
    for _ in range(count):
        try:
            value = await anext(source)
        except StopAsyncIteration:
            return
        yield value


async def _chain(values: Iterable[T], more: AsyncIterator[T]) -> AsyncIterator[T]:
    for value in values:
        yield value
    async for value in more:
        yield value
