"""What is left to do of a job that was created with its items, as a rerun of failed items is."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from jobtrack_client.loops import WorkerLoop
from jobtrack_client.models import ItemPage

T = TypeVar("T")

# In this order they are the filter that the `next_cursor` of a claim's items belongs to.
UNFINISHED = ("queued", "processing")

Pages = Callable[[Sequence[str], str | None], Awaitable[ItemPage]]
"""Reads a page of the job's items with one of some statuses, from a cursor on."""


class UnfinishedKeys:
    """The keys of a job's unfinished items, for `for` in a thread and `async for` in the event loop.

    `first` is the page that came with the claim, `retried` the item that ended the last attempt: it has failed, and is
    to be done again.
    """

    def __init__(self, pages: Pages, loop: WorkerLoop, first: ItemPage | None, retried: str | None) -> None:
        self._pages = pages
        self._loop = loop
        self._first = first
        self._retried = retried

    def __iter__(self) -> Iterator[str]:
        page = self._first or self._loop.result(lambda: self._read(None), "async for")
        yield from self._begin()
        while True:
            yield from self._keys(page)
            cursor = page["next_cursor"]
            if cursor is None:
                return
            page = self._loop.result(lambda: self._read(cursor), "async for")  # noqa: B023  called before it changes

    async def __aiter__(self) -> AsyncIterator[str]:
        page = self._first or await self._read(None)
        for key in self._begin():
            yield key
        while True:
            for key in self._keys(page):
                yield key
            if page["next_cursor"] is None:
                return
            page = await self._read(page["next_cursor"])

    def _read(self, cursor: str | None) -> Awaitable[ItemPage]:
        return self._pages(UNFINISHED, cursor)

    def _begin(self) -> list[str]:
        return [] if self._retried is None else [self._retried]

    def _keys(self, page: ItemPage) -> list[str]:
        return [item["key"] for item in page["items"] if item["key"] != self._retried]


class Todo(Generic[T]):
    """The iterable that `JobContext.todo` returns, for `for` and for `async for`; it may be iterated again."""

    def __init__(self, values: Iterable[T] | AsyncIterable[T]) -> None:
        self._values: Any = values

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def __aiter__(self) -> AsyncIterator[T]:
        return each(self._values)

    def __length_hint__(self) -> int:
        # The items that a job was created with are in its total already.
        count = -1 if isinstance(self._values, UnfinishedKeys) else operator.length_hint(self._values, -1)
        return NotImplemented if count < 0 else count


async def each(values: Any) -> AsyncIterator[Any]:
    """Iterate over values of either kind."""
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
