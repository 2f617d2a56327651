"""Waits that end with their client, and with their key."""

import asyncio
from collections.abc import AsyncIterable, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.core.access import key_ended
from app.domain.held import TRANSFER, Holding
from app.web.holding import check_room, cut_off, hold, release

if TYPE_CHECKING:
    from app.core.key_holds import Hold

T = TypeVar("T")


async def while_connected(request: Request, work: Coroutine[Any, Any, T], holding: Holding) -> T:
    """Await something for as long as the client is there and its key is valid; the end of either cancels the wait and
    raises ClientDisconnect or UnauthorizedError. Where there is no room for it, it is not begun.
    """
    try:
        async with Presence(request, holding):
            return await work
    finally:
        work.close()


class Presence:
    """A block that is cancelled when the client leaves, and then raises ClientDisconnect; or when the key ends, and
    then raises UnauthorizedError. It is not begun where there is no room for it.

    A server tells of a client that left only to those who ask: nothing else would end a long wait for nobody. The wait
    itself stays in the task of the request, as under `asyncio.timeout`: a task of its own for each of ten thousand
    would cost 2 KB more.
    """

    __slots__ = ("_hold", "_holding", "_left", "_task", "_watching", "request")

    def __init__(self, request: Request, holding: Holding) -> None:
        self.request = request
        self._holding = holding
        self._left = False
        self._task: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._hold: Hold | None = None

    async def __aenter__(self) -> Self:
        check_room(self.request, self._holding)
        self._task = asyncio.current_task()
        self._watching = asyncio.create_task(self._watch())
        self._hold = hold(self.request, self._end, self._holding)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._hold = self._hold, None
        if held is not None:
            # Before anything is awaited here, where it could still be cancelled.
            release(self.request, held)
        # Detached: the task keeps its cancellation, that its frames, and those this block. Every answered wait would
        # be a cycle of twenty objects, too old by then for a collection of what is young.
        watching, self._watching = self._watching, None
        if watching is not None:
            await cancel_and_wait(watching)
        # Ours alone is turned into what it means: whoever else cancels the task is obeyed. A block that went on
        # nevertheless keeps what it came to.
        has_ended = held is not None and held.ended
        ours = (self._left or has_ended) and self._task is not None and self._task.uncancel() <= 0
        if ours and kind is asyncio.CancelledError:
            raise ClientDisconnect if self._left else key_ended() from None

    async def _watch(self) -> None:
        await client_gone(self.request)
        # Cancelled once, by whichever comes first: each cancellation has to be taken back.
        if self._hold is not None and not self._hold.ended:
            self._left = True
            self._cancel()

    def _end(self) -> None:
        if not self._left:
            self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class DownloadResponse(StreamingResponse):
    """A streamed body that is cut when the key of its request ends."""

    def __init__(
        self, request: Request, content: AsyncIterable[bytes], status_code: int, headers: Mapping[str, str]
    ) -> None:
        check_room(request, TRANSFER)
        super().__init__(content, status_code, headers)
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body."""
        await send_while_valid(self._request, TRANSFER, asyncio.create_task(super().__call__(scope, receive, send)))


async def send_while_valid(
    request: Request, holding: Holding, sending: asyncio.Task[None], *others: asyncio.Task[None]
) -> None:
    """Wait until an answer is sent or one of the others is done; cut the answer when the key of its request ends."""
    held = hold(request, sending.cancel, holding)
    try:
        await asyncio.wait({sending, *others}, return_when=asyncio.FIRST_COMPLETED)
        if held.ended:
            await cut_off(request)
        elif sending.done():
            sending.result()
    finally:
        release(request, held)
        await cancel_and_wait(sending, *others)


async def client_gone(request: Request) -> None:
    """Return when the client has left. Only after the body was read: this takes its messages."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are really over, so that nothing outlives the request."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
