"""A TCP proxy before PostgreSQL that goes silent on command, as hosts and routers do that die without a word."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from urllib.parse import parse_qs, urlsplit


class Mode(Enum):
    """What it does with the bytes of its connections."""

    PASS = "pass"
    BLACKHOLE = "blackhole"
    HALF_AN_ANSWER = "half an answer"
    SLOW = "slow"


SLOW_SECONDS = 0.005
"""How long it keeps each piece in `SLOW`."""


class TcpProxy:
    """Passes connections on to a Unix socket. A mode holds for the connections that are open when it is set."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: dict[asyncio.Task[object] | None, _Link] = {}
        self.port = 0
        self.default = Mode.PASS
        """The mode of new connections."""
        self.away = False
        """Whether every new connection is cut at once."""

    def set_mode(self, mode: Mode, *, new_ones: bool = False) -> int:
        """Change what happens to the open connections, and to new ones too if so; returns how many are open."""
        for link in self._open.values():
            link.mode = mode
        self.default = mode if new_ones else Mode.PASS
        return len(self._open)

    async def go_away(self) -> None:
        """Cut every connection, and each new one until `away` is unset."""
        self.away = True
        await self.close()

    async def close(self) -> None:
        """Cut every connection."""
        tasks = [task for task in self._open if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            writer.transport.abort()
            return
        there_reader, there = await asyncio.open_unix_connection(self._path)
        link = _Link(self.default)
        task = asyncio.current_task()
        self._open[task] = link
        try:
            await asyncio.gather(link.pump(reader, there, answers=False), link.pump(there_reader, writer, answers=True))
        except asyncio.CancelledError:
            pass  # By `close`, which has no more to do; the stream's own callback would report it.
        finally:
            del self._open[task]
            for end in (writer, there):
                end.transport.abort()


class _Link:
    def __init__(self, mode: Mode) -> None:
        self.mode = mode

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while piece := await reader.read(65_536):
                if self.mode is Mode.BLACKHOLE:
                    continue
                if self.mode is Mode.HALF_AN_ANSWER and answers:
                    piece, self.mode = piece[: len(piece) // 2], Mode.BLACKHOLE
                elif self.mode is Mode.SLOW:
                    await asyncio.sleep(SLOW_SECONDS)
                writer.write(piece)
                await writer.drain()
            if self.mode is Mode.BLACKHOLE and answers:
                return  # Not even that the connection has ended gets through.
            writer.close()
        except ConnectionError:
            writer.close()


@asynccontextmanager
async def tcp_proxy(database_url: str) -> AsyncIterator[tuple[TcpProxy, str]]:
    """Serve a proxy before the server of a database; yields it, and the database's URL through it."""
    parts = urlsplit(database_url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    proxy = TcpProxy(f"{query['host']}/.s.PGSQL.{query.get('port', '5432')}")
    server = await asyncio.start_server(proxy.accept, "127.0.0.1")
    proxy.port = server.sockets[0].getsockname()[1]
    account = parts.netloc.rpartition("@")[0]
    try:
        yield proxy, f"postgresql://{account}@127.0.0.1:{proxy.port}{parts.path}"
    finally:
        server.close()
        await proxy.close()
