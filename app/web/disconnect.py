"""Waits that end with their client."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Self, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def while_connected(request: Request, awaitable: Awaitable[T]) -> T:
    """Await something for as long as the client is there; its leaving cancels the wait and raises ClientDisconnect."""
    async with Presence(request):
        return await awaitable


class Presence:
    """A block that is cancelled when the client leaves, and then raises ClientDisconnect.

    A server tells of a client that left only to those who ask: nothing else would end a long wait for nobody. The wait
    itself stays in the task of the request, as under `asyncio.timeout`: a task of its own for each of ten thousand
    would cost 2 KB more.
    """

    __slots__ = ("_left", "_task", "_watching", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self._left = False
        self._task: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Detached: the task keeps its cancellation, that its frames, and those this block. Every answered wait would
        # be a cycle of twenty objects, too old by then for a collection of what is young.
        watching, self._watching = self._watching, None
        if watching is not None:
            await cancel_and_wait(watching)
        # Ours alone is turned into what it means: whoever else cancels the task is obeyed. A block that went on
        # nevertheless keeps what it came to.
        ours = self._left and self._task is not None and self._task.uncancel() <= 0
        if ours and kind is asyncio.CancelledError:
            raise ClientDisconnect from None

    async def _watch(self) -> None:
        await client_gone(self.request)
        self._left = True
        if self._task is not None:
            self._task.cancel()


async def client_gone(request: Request) -> None:
    """Return when the client has left. Only after the body was read: this takes its messages."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are really over, so that nothing outlives the request."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
