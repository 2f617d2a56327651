"""JSON answers that may be long in coming: kept alive by white space, which JSON allows before its first token."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.core.access import key_ended
from app.domain.held import Holding
from app.web.body import forget_body
from app.web.disconnect import cancel_and_wait, client_gone
from app.web.holding import check_room, cut_off, hold, release

if TYPE_CHECKING:
    from app.core.key_holds import Hold

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
    """Answer with what a wait gives, rendered; after the application's `space_seconds` a space goes out now and then.

    An error before the first space is an error like any other, and so is the end of the key. After it the answer has
    begun as 200, and either cuts the connection: nothing is invented. Where there is no room, the wait is not begun.
    """
    try:
        check_room(request, holding)
    except BaseException:
        wait.close()
        raise
    # A thousand ids as text are more than the wait for them.
    forget_body(request)
    space_seconds: float = request.scope["state"]["space_seconds"]
    shown = {"X-Accel-Buffering": "no", **(headers or {})}
    work = asyncio.create_task(wait)
    gone = asyncio.create_task(client_gone(request))
    held = hold(request, work.cancel, holding)
    begun = False
    try:
        await asyncio.wait({work, gone}, timeout=space_seconds, return_when=asyncio.FIRST_COMPLETED)
        if held.ended:
            raise key_ended()
        if work.done():
            return Response(render(work.result()), 200, shown, "application/json")
        if gone.done():
            raise ClientDisconnect
        begun = True
        return _HeldResponse(request, held, work, gone, lambda: render(work.result()), shown, space_seconds)
    finally:
        if not begun:
            release(request, held)
            await cancel_and_wait(work, gone)


class _HeldResponse(Response):
    """A response that has begun before its body is known."""

    def __init__(
        self,
        request: Request,
        held: "Hold",
        work: asyncio.Task[Any],
        gone: asyncio.Task[None],
        render: Callable[[], bytes],
        headers: Mapping[str, str],
        space_seconds: float,
    ) -> None:
        super().__init__(None, 200, headers, "application/json")
        # The length is not known yet, so the server sends chunks.
        del self.headers["content-length"]
        self._request = request
        self._held = held
        self._work = work
        self._gone = gone
        self._render = render
        self._space_seconds = space_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send spaces until the wait ends, then the body; stop when the client leaves or the key ends."""
        del scope, receive
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            both = {self._work, self._gone}
            while not self._work.done() and not self._gone.done():
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.wait(both, timeout=self._space_seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._held.ended:
                await cut_off(self._request)
            elif self._work.done():
                await send({"type": "http.response.body", "body": self._render(), "more_body": False})
        finally:
            release(self._request, self._held)
            await cancel_and_wait(self._work, self._gone)
