"""Answers to clients of before HTTP/1.1, which know no chunks."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

BEFORE_CHUNKS: Final = frozenset({"0.9", "1.0"})
"""Versions of HTTP."""


def without_chunks(cycle: RequestResponseCycle, app: Any) -> Any:
    """Return the application with a `send` that ends a body of unknown length by closing.

    A client of before HTTP/1.1 knows no chunks and would read their sizes as part of the answer (RFC 9112 6.1). A held
    wait or a stream ends with the connection there, which the server closes anyway.
    """

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
