"""JSON answers that may be long in coming: kept alive by white space, which JSON allows before its first token."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.domain.errors import UnauthorizedError
from app.domain.held import Holding
from app.web.body import forget_body
from app.web.disconnect import Presence, cancel_and_wait
from app.web.holding import cut_off

T = TypeVar("T")

SPACE_SECONDS = 15.0
"""The default interval: below the shortest idle timeout that proxies commonly have."""


async def held_json_response(
    request: Request,
    wait: Coroutine[Any, Any, T],
    render: Callable[[T], bytes],
    holding: Holding,
    *,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with what a wait returns, rendered; after the application's `space_seconds` a space goes out now and then.

    An error before the first space is an error like any other, and so is the end of the key. After it the answer has
    begun as 200, and either cuts the connection: nothing is invented. Where there is no room, the wait is not begun.
    """
    # A thousand ids as text are more than the wait for them.
    forget_body(request)
    spaces = _Spaces(request, headers)
    try:
        async with Presence(request, holding), spaces:
            result = await wait
        body = render(result)
    except Exception as error:
        if not spaces.begun:
            raise
        return _Rest(request, error)
    finally:
        wait.close()
    if spaces.begun:
        return _Rest(request, body)
    return _response(body, headers)


def _response(body: bytes, headers: Mapping[str, str] | None) -> Response:
    return Response(body, 200, {"X-Accel-Buffering": "no", **(headers or {})}, "application/json")


class _Spaces:
    """A block during which a space is sent now and then, once it has lasted some time.

    Between two of them it is a timer, and the wait stays in the task of the request. As a task of its own beside one
    that slept until the next space, each of ten thousand waits took 2 KB more.
    """

    __slots__ = ("_headers", "_request", "_sending", "_timer", "begun")

    def __init__(self, request: Request, headers: Mapping[str, str] | None) -> None:
        self._request = request
        self._headers = headers
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self.begun = False
        """Whether the head of the answer is sent."""

    async def __aenter__(self) -> Self:
        self._rest()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The timer first: it could be due while the task ends. Both detached, or an answered wait would be a cycle.
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        sending, self._sending = self._sending, None
        if sending is not None:
            await cancel_and_wait(sending)

    def _rest(self) -> None:
        seconds: float = self._request.scope["state"]["space_seconds"]
        self._timer = asyncio.get_running_loop().call_later(seconds, self._start)

    def _start(self) -> None:
        self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        send = self._request._send  # noqa: SLF001 - where the answer goes; a request does not offer it
        if not self.begun:
            head = _response(b"", self._headers)
            # It is not known yet: the server sends chunks.
            del head.headers["content-length"]
            await send({"type": "http.response.start", "status": head.status_code, "headers": head.raw_headers})
            self.begun = True
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        self._rest()


class _Rest(Response):
    """The rest of an answer whose head is sent: its body, or what happened instead."""

    def __init__(self, request: Request, outcome: bytes | Exception) -> None:
        super().__init__()
        self._request = request
        self._outcome = outcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body; or nothing to a client that has left, and drop the connection where the wait failed."""
        del scope, receive
        match self._outcome:
            case bytes(body):
                await send({"type": "http.response.body", "body": body, "more_body": False})
            case ClientDisconnect():
                pass
            case UnauthorizedError():
                await cut_off(self._request)
            case error:
                # The server logs it, and drops the connection of an answer that is not whole.
                raise error
