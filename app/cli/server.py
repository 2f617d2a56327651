"""The server of `jobtrack serve`: uvicorn, with an orderly shutdown.

uvicorn waits for open requests before any code of ours learns of the shutdown, and a long wait that it then cuts off is
an error 500 (measured). So the drain comes first: readiness turns to false, every open wait answers with the current
states, and only then does uvicorn close the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from app.cli.connections import Connections, connections_for
from app.cli.http_protocol import HttpProtocol
from app.core.batches.queue_limit import MAX_QUEUES
from app.core.space import Space
from app.domain.held import KEY_SHARE_PERCENT
from app.domain.queue import Keeping
from app.live.collector import Activity, Collector
from app.runtime import Runtime

if TYPE_CHECKING:
    from app.web.front import Front, SettingRow

# After the drain, a connection is open only for a client that does not read, or a slow statement. The promise is that
# stopping the service takes five seconds at most; the rest of them is for closing the pool.
DRAIN_CAP_SECONDS = 4
# Closing the pool and the change feed takes milliseconds, unless the database hangs.
_STOP_SECONDS = 3.0
# Clients that all reconnect after a restart must not be refused because the queue is full.
BACKLOG = 4096
# An idle connection lives longer than the pools of common clients and proxies (60 s) keep theirs: whoever closes first
# breaks the other's next request, and a POST is not sent twice.
KEEP_ALIVE_SECONDS = 75
# The Date header, made once for all answers, changes as often.
TICK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """The configuration of one server process."""

    # They hold passwords.
    database_url: str = dataclasses.field(repr=False)
    listen_url: str | None = dataclasses.field(repr=False)
    pool_size: int
    prepared: bool
    """Whether connections keep prepared statements."""
    max_answer_bytes: int
    dialects: tuple[str, ...] | None = None
    """The names of the dialects to serve; None: all."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose X-Forwarded-For is believed."""
    volume: str | None = None
    """A folder on the volume of the database, if it is the embedded one."""
    min_free_bytes: int = 0
    key_share_percent: int = KEY_SHARE_PERCENT
    """How much of what this process holds open one key may have."""
    max_queues: int = MAX_QUEUES
    public_url: str | None = None
    """The address at which browsers reach the service, where the operator names one."""
    keep_seconds: int = 0
    """How long ended jobs are kept whose queue has no rule; 0: for ever."""
    keep_failed_seconds: int = 0
    keep_is_set: bool = False
    settings: tuple[SettingRow, ...] = ()
    """Name, value, origin and description of each setting, secrets masked."""


class DrainingServer(uvicorn.Server):
    """Drains before it closes; a second signal closes open connections at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain: Callable[[], None],
        *,
        on_started: Callable[[], None],
        before_drain: Callable[[], Awaitable[None]] | None,
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_started = on_started
        self._before_drain = before_drain
        self._loop = asyncio.get_running_loop()
        self._exit_asked = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then call `on_started`."""
        await super().startup(sockets)
        self._on_started()

    async def main_loop(self) -> None:
        """Tick once a second, and at once when asked to exit. uvicorn ticks ten times as often to see that it was."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._exit_asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer every open wait, then shut down as uvicorn does."""
        if self._before_drain and not self.force_exit:
            await self._before_drain()
        self._drain()
        await super().shutdown(sockets)

    def activity(self) -> Activity:
        """Return what the clients do."""
        state = self.server_state
        return Activity(len(state.connections), in_flight=len(state.tasks), answered=state.total_requests)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown; force it at the second signal.

        The signal is not recorded, so uvicorn does not raise it again afterwards: an orderly shutdown exits with 0, and
        what is stopped after the server (the embedded database) is still stopped.
        """
        del sig, frame
        self.force_exit = self.should_exit
        self.exit()

    def exit(self) -> None:
        """Start the shutdown. To be called in the event loop's thread, also between two of its steps."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._exit_asked.set)


def server_config(
    app: Front, connections: Connections | None = None, *, trusted_proxies: Sequence[str] = ()
) -> uvicorn.Config:
    """Return how uvicorn serves the application."""
    protocol: Any = functools.partial(HttpProtocol, connections=connections or Connections())
    return uvicorn.Config(
        app,
        lifespan="off",
        http=protocol,
        # What is installed beside it must not add a protocol.
        ws="none",
        # Logging is configured already, and the access log would cost more than the request.
        log_config=None,
        access_log=False,
        server_header=False,
        # uvicorn believes any process of this machine by default, and so any client of a proxy on it.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_CAP_SECONDS,
    )


def space_of(serving: Serving) -> Space:
    """Return the room of the database: what its volume has, where that is ours."""
    volume = serving.volume
    if volume is None:
        return Space()
    # What is reserved for root is not the database's.
    return Space(lambda: (found := os.statvfs(volume)).f_bavail * found.f_frsize, least_bytes=serving.min_free_bytes)


def serve_until_signal(
    serving: Serving,
    listener: socket.socket,
    *,
    on_started: Callable[[], None] = lambda: None,
    before_drain: Callable[[], Awaitable[None]] | None = None,
    parent: int | None = None,
) -> None:
    """Run one server process on the socket until a signal, or until the pipe from its parent is closed."""
    # Imported here, because the parent of several processes serves nothing, and importing every route takes a second.
    from app.main import create_app

    # From the parent process they arrive as a list.
    dialects = None if serving.dialects is None else tuple(serving.dialects)
    connections = connections_for(serving.pool_size)

    async def run() -> None:
        runtime = Runtime(
            serving.database_url,
            listen_url=serving.listen_url,
            pool_size=serving.pool_size,
            prepared=serving.prepared,
            max_answer_bytes=serving.max_answer_bytes,
            max_queues=serving.max_queues,
            keeping=Keeping(serving.keep_seconds, serving.keep_failed_seconds, serving.keep_is_set),
            space=space_of(serving),
            key_share_percent=serving.key_share_percent,
        )
        await runtime.start()
        try:
            app = create_app(
                runtime.services,
                telemetry=runtime.telemetry,
                dialect_names=dialects,
                public_url=serving.public_url,
                settings=serving.settings,
            )
            config = server_config(app, connections, trusted_proxies=serving.trusted_proxies)
            server = DrainingServer(config, runtime.drain, on_started=on_started, before_drain=before_drain)
            if parent is not None:
                _stop_with_parent(parent, server)
            # Not among the loops of the runtime: it is the process's own, and needs to know what the server does.
            collector = Collector(server.activity, runtime.services.metrics.observe_pause)
            await collector.start()
            try:
                await server.serve([listener])
            finally:
                await collector.stop()
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(runtime.stop(), _STOP_SECONDS)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _stop_with_parent(parent: int, server: DrainingServer) -> None:
    """Stop when the parent has exited, for whatever reason: nothing would restart or end this process any more."""
    loop = asyncio.get_running_loop()

    def on_closed() -> None:
        loop.remove_reader(parent)
        server.exit()

    loop.add_reader(parent, on_closed)


def bare_app() -> Front:
    """Return the application without a database, to write its OpenAPI documents."""
    from app.main import create_app

    # The runtime opens no connection before `start`.
    return create_app(Runtime("postgresql://nowhere/none").services)
