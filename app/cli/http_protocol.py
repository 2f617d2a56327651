"""HTTP as uvicorn speaks it, within limits: its own has none for a head, and takes whatever comes after an answer.

It also sends no chunks to clients of before HTTP/1.1, writes no line to the log for a request that it cannot read, and
has a way to drop a connection.
"""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.cli.connections import MAX_HEAD_BYTES, PROBE_PATHS, Connections
from app.cli.unchunked import BEFORE_CHUNKS, without_chunks
from app.domain.errors import JobtrackError, MalformedError
from app.web.body import IS_WHOLE
from app.web.errors import HeadTooLargeError, status_of
from app.web.holding import ABORT
from app.web.problems import problem_document

# Who is answered before its body was read may still be sending: closing at once would make its kernel throw the answer
# away. So the connection is read on, for so long and so much, and only then closed.
LINGER_SECONDS: Final = 5.0
LINGER_BYTES: Final = 16 * 1024 * 1024


class HttpProtocol(HttpToolsProtocol):
    """A connection.

    A head has 64 KiB and ten seconds at most, from its first byte, and the first one from the connection's begin. The
    bytes are counted since the parser last delivered something, so that trailers and the extensions of chunks are
    bounded as well. An answer that is begun before the request's body has come ends the connection.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self.reserved = False
        """Whether only probes are answered here."""
        self._in_head = True
        """Whether the next byte is one of a head, and not of a body."""
        self._head_begun = False
        self._held_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._is_last = False
        """Whether the connection ends after the answers that are under way."""
        self._is_deaf = False
        """Whether what comes is thrown away."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._connections.opened(self)
        self._head_timer = self.loop.call_later(self._connections.head_seconds, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connections.lost(self)
        self._stop_head_timer()
        super().connection_lost(exc)

    def evict(self) -> None:
        """Close, because a newer connection needs the place."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, never more at once than a head may still have."""
        if self._is_deaf:
            self._held_bytes += len(data)
            if self._held_bytes > LINGER_BYTES:
                self.transport.close()
            return
        self._unset_keepalive_if_required()
        rest: bytes | memoryview = data
        while rest and not self._is_deaf:
            room = MAX_HEAD_BYTES - self._held_bytes
            piece, rest = (rest, b"") if len(rest) <= room else (memoryview(rest)[:room], memoryview(rest)[room:])
            self._feed(piece)
        if self._in_head and self._head_timer is None and (self._head_begun or self._held_bytes) and not self._is_deaf:
            self._head_timer = self.loop.call_later(self._connections.head_seconds, self._head_is_late)

    def _feed(self, piece: bytes | memoryview) -> None:
        self._held_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here: it is answered as the request that it is otherwise.
            pass
        except httptools.HttpParserError:
            self._refuse(MalformedError("The request is not HTTP/1.1."))
            return
        if self._held_bytes >= MAX_HEAD_BYTES:
            # Nothing came of it, so the head ends later than here.
            self._refuse(HeadTooLargeError(MAX_HEAD_BYTES))

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._head_begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but no trailer: uvicorn would add it to the headers of a request that was judged by them."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End a head."""
        self._stop_head_timer()
        self._in_head = self._head_begun = False
        self._held_bytes = 0
        self._connections.began(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._held_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_head = True
        self._held_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or end the connection where this was the last one."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._connections.rested(self)
        if self._is_last:
            self._linger()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        scope = cycle.scope
        scope["state"][ABORT] = partial(_reset, cycle.transport)
        if self.reserved and scope["path"] not in PROBE_PATHS:
            scope["state"]["is_full"] = True
        if self.reserved or any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"]):
            app = self._closing(cycle, app)
        super()._start_asgi_task(cycle, without_chunks(cycle, app) if scope["http_version"] in BEFORE_CHUNKS else app)

    def _closing(self, cycle: RequestResponseCycle, app: Any) -> Any:
        """Return the application with a `send` that ends the connection after an answer to an unread body."""

        async def call(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            async def send_last(message: Any) -> None:
                if message["type"] == "http.response.start" and (cycle.more_body or self.reserved):
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
                    await send(message)
                    # The header has told the server to close at once.
                    cycle.keep_alive = True
                    self._is_last = True
                else:
                    await send(message)

            # Most bodies come with their head, and are here before this begins.
            if not cycle.more_body:
                scope["state"][IS_WHOLE] = True
            await app(scope, receive, send_last if cycle.more_body or self.reserved else send)

        return call

    def _refuse(self, error: JobtrackError) -> None:
        """Answer what cannot be read further, unless an answer is due before; then the connection ends with that."""
        self._is_deaf = self._is_last = True
        self._held_bytes = 0
        self._stop_head_timer()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or cycle.response_started or not cycle.more_body:
                return
            # Its body is what cannot be read: who waits for the rest learns that there will be none.
            cycle.disconnected = True
            cycle.message_event.set()
        status = status_of(error)
        body = json.dumps(problem_document(error, None)).encode("ascii")
        headers = [*self.server_state.default_headers, (b"content-type", b"application/problem+json")]
        headers += [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")
        self.transport.write(first + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body)
        self._linger()

    def _linger(self) -> None:
        """End our side, and wait until the client has noticed."""
        self._unset_keepalive_if_required()
        self._is_deaf = True
        self._held_bytes = 0
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.timeout_keep_alive_task = self.loop.call_later(LINGER_SECONDS, self.timeout_keep_alive_handler)

    def _head_is_late(self) -> None:
        self._head_timer = None
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
        elif not self._is_deaf:
            # Nothing is read while an answer is under way, so its time has not begun.
            self._head_timer = self.loop.call_later(self._connections.head_seconds, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _reset(transport: asyncio.Transport) -> None:
    """Drop a connection with a reset: without lingering time, the system would still end it in good order."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
