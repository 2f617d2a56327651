"""One request and its answer, as every one is: the request's id, the headers of each answer, HEAD, and the clock."""

import re
from collections.abc import Iterable
from time import perf_counter
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from uuid_utils import uuid7

from app.core.wait_clock import time_waits
from app.web.http_metrics import HttpMetrics

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
"""What a caller's X-Request-ID may be: it is echoed, logged and shown, so nothing that could mean something there."""
_CUT_OFF: Final = 500
"""What the server answers for an application that ended without an answer, and how such a request is counted."""


class Exchange:
    """A request under way.

    The clock stops when the head of the answer goes out, less the time in which the request only waited: an answer of
    ten minutes (a stream) or to a client that reads slowly says nothing about how fast the service is. It costs 3 to 4
    microseconds a request.
    """

    __slots__ = ("_began", "_metrics", "_scope", "_send", "_status", "_waited", "_without_body", "request_id")

    def __init__(self, scope: Scope, send: Send, metrics: HttpMetrics, *, without_body: bool) -> None:
        self._began = perf_counter()
        self._waited = time_waits()
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._without_body = without_body
        self.request_id = _request_id_of(scope)
        self._status: int | None = None

    async def answer(self, response: Response, receive: Receive) -> None:
        """Send a response.

        A plain one is sent from here: calling it would take the same two messages through three more coroutines, which
        costs a microsecond.
        """
        if type(response) is not Response or response.background is not None:
            await response(self._scope, receive, self.send)
            return
        status = response.status_code
        headers = self._headers(status, response.raw_headers)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if self._without_body else response.body
        await self._send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        """Send a part of an answer."""
        if message["type"] == "http.response.start":
            message["headers"] = self._headers(message["status"], message["headers"])
        elif self._without_body and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Stop the clock, for the head goes out now, and return its headers."""
        self._stop(status)
        return _with_common_headers(headers, self.request_id, self._scope["path"])

    def _stop(self, status: int) -> None:
        self._status = status
        self._metrics.answered(self._scope, status, perf_counter() - self._began - self._waited.seconds())

    def end(self) -> None:
        """Record what is still to be recorded, whether the request was answered, failed or was cancelled."""
        if self._status is None:
            self._stop(_CUT_OFF)
        if seconds := self._waited.seconds():
            self._metrics.waited(self._scope, seconds)


def _request_id_of(scope: Scope) -> str:
    """Return the caller's own id, if it is a decent one, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                return given
            break
    # The library's string form: `domain.ids.new_id` takes four times as long, for guarantees that are not needed here.
    return str(uuid7())


def _with_common_headers(
    headers: Iterable[tuple[bytes, bytes]], request_id: str, path: str
) -> list[tuple[bytes, bytes]]:
    """Add the headers that every answer has. On plain lists, because every answer passes here."""
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
