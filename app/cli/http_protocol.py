"""HTTP as uvicorn speaks it, but for what it sends to clients of before HTTP/1.1, and a way to drop a connection."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.web.holding import ABORT

_BEFORE_CHUNKS: Final = frozenset({"0.9", "1.0"})


class HttpProtocol(HttpToolsProtocol):
    """Sends no chunks to a client that knows none, which would read their sizes as part of the answer (RFC 9112 6.1).

    A body of unknown length (a held wait, a stream) ends with the connection there, which the server closes anyway.
    """

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.scope["state"][ABORT] = partial(_reset, cycle.transport)
        unchunked = cycle.scope["http_version"] in _BEFORE_CHUNKS
        super()._start_asgi_task(cycle, _without_chunks(cycle, app) if unchunked else app)


def _reset(transport: asyncio.Transport) -> None:
    """Drop a connection with a reset: without lingering time, the system would still end it in good order."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _without_chunks(cycle: RequestResponseCycle, app: Any) -> Any:
    """Return the application with a `send` that ends a body of unknown length by closing."""

    async def call(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        until_close = False

        async def send_unchunked(message: Any) -> None:
            nonlocal until_close
            if message["type"] == "http.response.start":
                until_close = all(name.lower() != b"content-length" for name, _ in message["headers"])
                if until_close:
                    cycle.chunked_encoding = False
            elif until_close:
                # The server holds a body to its declared length: each part is as long as it is.
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return call
