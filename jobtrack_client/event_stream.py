"""Server-sent events, parsed as the WHATWG specifies: lines end in CR, LF or both, and in nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

DEFAULT_RETRY_SECONDS = 2.0


class ServerEvent(NamedTuple):
    """One event: its name, its data, and the id after which the stream can be resumed."""

    name: str
    data: Any
    id: str | None


class EventParser:
    """Turns the chunks of a stream into events, wherever the chunks are cut.

    It does not use `splitlines()`, which also splits at U+2028 and would cut a text in the middle.
    """

    def __init__(self) -> None:
        """Begin with an empty buffer."""
        self.last_id: str | None = None
        self.retry_seconds = DEFAULT_RETRY_SECONDS
        self.restart()

    def restart(self) -> None:
        """Begin a new connection: of an event that was cut off nothing is kept, and the stream resumes before it."""
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._id = self.last_id

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yield the events that this chunk completes."""
        text = self._rest + chunk
        if text.endswith(b"\r"):
            # Perhaps the first half of a CR LF: wait for the second.
            self._rest, text = b"\r", text[:-1]
        else:
            self._rest = b""
        *lines, last = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = last + self._rest
        for line in lines:
            event = self._read_line(line.decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _read_line(self, line: str) -> ServerEvent | None:
        if not line:
            name, data = self._name or "message", "\n".join(self._data)
            self._name, self._data, self.last_id = "", [], self._id
            return ServerEvent(name, json.loads(data), self.last_id) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id" and "\0" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value) / 1000
        return None
