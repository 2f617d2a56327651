"""One keep-alive HTTP connection, written on a bare protocol: httpx would measure itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, cast

from bench.service import API_KEY

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Request:
    """One request, for the asyncio client or, as a line of a file, for wrk."""

    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def post(cls, path: str, document: Any) -> Request:
        return cls("POST", path, json.dumps(document))

    def raw(self) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {HOST}", f"Authorization: Bearer {API_KEY}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()

    def line(self) -> str:
        """Method, path, one header's name and value, body; JSON holds no tab."""
        name, value = next(iter(self.headers.items()), ("", ""))
        return f"{self.method}\t{self.path}\t{name}\t{value}\t{self.body}"


class Answer(NamedTuple):
    """What came back; status 0 for a connection that was cut."""

    status: int
    body: bytes
    at: float
    """When its last byte was here, by the monotonic clock, which all processes share."""


Done: TypeAlias = Callable[[Answer], None]


class Connection(asyncio.Protocol):
    """Sends one request at a time and calls back with its answer."""

    __slots__ = ("_body", "_buffer", "_chunked", "_done", "_left", "_status", "_transport", "closed")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._done: Done | None = None
        self._status = 0
        self._left = -1
        self._chunked = False
        self._body = b""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, though they do all that those do.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, done: Done) -> None:
        """Send a request; nothing may be under way."""
        self._done = done
        if self.closed or self._transport is None:
            self._finish(Answer(0, b"", time.monotonic()))
        else:
            self._transport.write(request)

    async def call(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        answered = asyncio.get_running_loop().create_future()
        self.send(request, lambda answer: None if answered.done() else answered.set_result(answer))
        answer: Answer = await answered
        return answer

    def close(self) -> None:
        self._done = None
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self.closed = True
        if self._done is not None:
            self._finish(Answer(0, b"", time.monotonic()))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._status or self._read_head():
            whole = self._read_chunks() if self._chunked else self._read_body()
            if not whole:
                return
            answer = Answer(self._status, self._body, time.monotonic())
            self._status, self._left, self._body = 0, -1, b""
            self._finish(answer)

    def _finish(self, answer: Answer) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answer)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._buffer[:end].lower()
        self._buffer = self._buffer[end + 4 :]
        self._status = int(head[9:12])
        self._chunked = b"\r\ntransfer-encoding: chunked" in head
        at = head.find(b"\r\ncontent-length:")
        self._left = 0 if at < 0 or self._status == 304 else int(head[at + 17 :].split(b"\r\n", 1)[0])
        return True

    def _read_body(self) -> bool:
        if len(self._buffer) < self._left:
            return False
        self._body, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        return True

    def _read_chunks(self) -> bool:
        """Take the whole chunks that are there: of a held wait first come spaces, one every 15 seconds."""
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = int(self._buffer[:end], 16)
            if len(self._buffer) < end + 2 + size + 2:
                return False
            self._body += self._buffer[end + 2 : end + 2 + size]
            self._buffer = self._buffer[end + 2 + size + 2 :]
            if size == 0:
                return True
        return False


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
    return connection


async def connect_many(port: int, count: int, *, at_once: int = 200) -> list[Connection]:
    """Open connections, not more at a time than the server's queue of new ones holds."""
    opened: list[Connection] = []
    while len(opened) < count:
        wave = min(at_once, count - len(opened))
        opened += await asyncio.gather(*(connect(port) for _ in range(wave)))
    return opened
