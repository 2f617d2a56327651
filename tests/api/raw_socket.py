"""A connection to the service, in bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.service_process import API_KEY

SECONDS = 30.0


class Connection:
    """A connection to the service, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, first_line: str, headers: str = "", body: str = "", after: bytes = b"") -> None:
        if body:
            headers += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(f"{first_line}\r\n{headers}Authorization: Bearer {API_KEY}\r\n\r\n{body}".encode() + after)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and the headers of an answer."""
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), SECONDS)).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        return int(first.split(" ")[1]), {line.split(": ")[0].lower(): line.split(": ", 1)[1] for line in lines}

    async def rest(self) -> bytes:
        """Read until the server closes."""
        return await asyncio.wait_for(self.reader.read(), SECONDS)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """A connection that is closed whatever the test comes to."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
