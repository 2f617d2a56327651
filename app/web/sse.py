"""Server-sent events: what they look like, and a response that sends them until either side has had enough."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

from fastapi import Request, Response
from fastapi.sse import format_sse_event
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from app.domain.held import Holding
from app.web.disconnect import cancel_and_wait, client_gone, send_while_valid
from app.web.holding import check_room

KEEP_ALIVE_SECONDS: Final = 15.0
"""Below the shortest idle timeout that proxies commonly have."""
LONGEST_SECONDS: Final = 600.0
"""Then the client comes back, perhaps to another process: streams that stay for ever pile up on the oldest one."""
RETRY_MILLISECONDS: Final = 2000


def sse_frame(event: str, data: Any, event_id: str | None = None) -> bytes:
    """Write one event with JSON as its data."""
    return bytes(format_sse_event(data_str=to_json(data).decode(), event=event, id=event_id))


def text_frame(text: str, event_id: str | None = None) -> bytes:
    """Write one event without a name, with a text as its data."""
    return bytes(format_sse_event(data_str=text, id=event_id))


class EventStreamResponse(Response):
    """Sends frames as they come, a comment when none does, and ends when the frames do, or the client leaves. The end
    of the key cuts it: a proper end would look like the job's.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        frames: AsyncGenerator[bytes, None],
        holding: Holding,
        *,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        comment: Callable[[], str] = lambda: "still here",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`comment` returns what is sent, for people who look on, when no frame has come for a while."""
        check_room(request, holding)
        shown = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **(headers or {})}
        super().__init__(None, 200, shown)
        del self.headers["content-length"]
        self._request = request
        self._frames = frames
        self._holding = holding
        self._keep_alive_seconds = keep_alive_seconds
        self._longest_seconds = longest_seconds
        self._comment = comment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end; the source is closed whatever ends it."""
        del scope, receive
        gone = asyncio.create_task(client_gone(self._request))
        sending = asyncio.create_task(self._send(send))
        # A send to a client that does not read waits for ever; its leaving ends that too.
        await send_while_valid(self._request, self._holding, sending, gone)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # Jittered: clients that were sent away together do not come back together.
        retry = int(RETRY_MILLISECONDS * random.uniform(0.8, 1.5))  # noqa: S311 - jitter, not a secret
        await _send_body(send, f"retry: {retry}\n\n".encode())
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._longest_seconds
        following: asyncio.Task[bytes] | None = None
        try:
            while (left := ends_at - loop.time()) > 0:
                following = following or asyncio.ensure_future(_next(self._frames))
                done, _ = await asyncio.wait({following}, timeout=min(left, self._keep_alive_seconds))
                if not done:
                    await _send_body(send, f": {self._comment()}\n\n".encode())
                    continue
                frame, following = following.result(), None
                if not frame:
                    break
                await _send_body(send, frame)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if following is not None:
                await cancel_and_wait(following)
            await self._frames.aclose()


async def _next(frames: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(frames, b"")


async def _send_body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
