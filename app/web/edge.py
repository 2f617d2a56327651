"""The outermost layer, as plain ASGI: request ids, HEAD, and headers that every answer has.

No BaseHTTPMiddleware: it puts a task and a queue between a wait and its client, and hides that the client left.
"""

import re
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""What a caller's X-Request-ID may be: it is echoed, logged and shown, so nothing that could mean something there."""


class Edge:
    """Gives each request an id, answers HEAD like GET without the body, and keeps shared caches away from job data."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, dressed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}

        async def dressed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = dressed(message["headers"], request_id, scope["path"])
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive, dressed_send)


def request_id_of(scope: Scope) -> str:
    """Give the caller's own id, if it is a decent one, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                return given
            break
    # As the library makes it: nobody needs more of it than the text, and our own ids take four times as long.
    return str(uuid7())


def dressed(headers: Iterable[tuple[bytes, bytes]], request_id: str, path: str) -> list[tuple[bytes, bytes]]:
    """Add the headers that every answer has. On plain lists: this is on the way of every answer there is."""
    found = [(b"x-request-id", request_id.encode("latin-1"))]
    kept = marked = False
    for name, value in headers:
        if name == b"cache-control":
            kept = True
        elif name == b"x-content-type-options":
            marked = True
        elif name == b"x-request-id":
            continue
        found.append((name, value))
    if not kept:
        # Files may be kept and asked about; everything else is somebody's data.
        found.append((b"cache-control", b"no-cache" if path.startswith("/static/") else b"no-store"))
    if not marked:
        found.append((b"x-content-type-options", b"nosniff"))
    return found
