"""The serving part of `jobtrack serve`: uvicorn, with an orderly end.

uvicorn waits for open requests before anything of ours learns that the end has come, and a long wait that it cuts then
is an error 500 (measured). So the drain is set first: readiness turns, every open wait answers with the current states,
and only then uvicorn closes what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from app.live.collector import Activity, Collector
from app.runtime import Runtime

if TYPE_CHECKING:
    from fastapi import FastAPI

# What is open after the drain is a client that does not read, or a slow statement. Five seconds are promised to whoever
# stops the service, and the rest of them is for closing the pool.
DRAIN_CAP_SECONDS = 4
# Closing the pool and the feed takes milliseconds, unless the database hangs.
_STOP_SECONDS = 3.0
# A wave of clients that come back after a restart must not be refused by a full queue.
BACKLOG = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Serving:
    """What one serving process needs to know."""

    # They hold passwords.
    database_url: str = dataclasses.field(repr=False)
    listen_url: str | None = dataclasses.field(repr=False)
    pool_size: int
    prepared: bool
    """Whether statements are kept prepared."""
    dialects: tuple[str, ...] | None = None
    """Which vendors' APIs to speak; None: all."""
    hot_routes: bool = True


class DrainingServer(uvicorn.Server):
    """Sets the drain before it closes; a second signal gives up on what is open."""

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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell the command that the service is up."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Release every open wait, then close as uvicorn does."""
        if self._before_drain and not self.force_exit:
            await self._before_drain()
        self._drain()
        await super().shutdown(sockets)

    def activity(self) -> Activity:
        """Return what the clients do."""
        state = self.server_state
        return Activity(len(state.connections), in_flight=len(state.tasks), answered=state.total_requests)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end; again: force it.

        The signal is not noted, so uvicorn does not raise it again afterwards: an orderly end exits with 0, and what
        comes after the server (the embedded database) is stopped too.
        """
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True


def serve_until_signal(
    serving: Serving,
    listener: socket.socket,
    *,
    on_started: Callable[[], None] = lambda: None,
    before_drain: Callable[[], Awaitable[None]] | None = None,
    parent: int | None = None,
) -> None:
    """Run one serving process on the socket until a signal comes, or until the pipe from its parent is cut."""
    # Here and not above: the parent of several processes serves nothing, and every route is a second of imports.
    from app.main import create_app, with_hot_routes

    # From another process they come as a list.
    speak = None if serving.dialects is None else tuple(serving.dialects)

    async def run() -> None:
        runtime = Runtime(
            serving.database_url,
            listen_url=serving.listen_url,
            pool_size=serving.pool_size,
            prepared=serving.prepared,
        )
        await runtime.start()
        try:
            app = create_app(runtime.services, telemetry=runtime.telemetry, speak=speak)
            config = uvicorn.Config(
                with_hot_routes(app, runtime.telemetry) if serving.hot_routes else app,
                lifespan="off",
                # Ours stands already; and the access log would cost more than the request.
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=DRAIN_CAP_SECONDS,
            )
            server = DrainingServer(config, runtime.drain, on_started=on_started, before_drain=before_drain)
            if parent is not None:
                _stop_without(parent, server)
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


def _stop_without(parent: int, server: DrainingServer) -> None:
    """Stop when the parent is gone, however it went: nobody would restart or end this process any more."""
    loop = asyncio.get_running_loop()

    def cut() -> None:
        loop.remove_reader(parent)
        server.should_exit = True

    loop.add_reader(parent, cut)


def bare_app() -> FastAPI:
    """Give the application without a database behind it, for its documents."""
    from app.main import create_app

    # Nothing is opened before `start`.
    return create_app(Runtime("postgresql://nowhere/none").services)
