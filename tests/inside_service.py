"""A service in the process of the test, where its registries can be looked at and its intervals chosen."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import uvicorn

from app.cli.connections import Connections
from app.cli.server import server_config
from app.core.first_key import prepare
from app.core.space import Space
from app.domain.held import KEY_SHARE_PERCENT, MOST, Kind
from app.main import create_app
from app.runtime import Runtime
from app.web.held_response import SPACE_SECONDS
from tests.service_process import API_KEY


@dataclass(frozen=True)
class Inside:
    """A running service with a client that has the key."""

    runtime: Runtime
    port: int
    client: httpx.AsyncClient


@asynccontextmanager
async def serve_inside(
    database_url: str,
    *,
    pool_size: int = 4,
    space_seconds: float = SPACE_SECONDS,
    connections: Connections | None = None,
    space: Space | None = None,
    most_held: Mapping[Kind, int] = MOST,
    key_share_percent: int = KEY_SHARE_PERCENT,
) -> AsyncIterator[Inside]:
    await prepare(database_url, API_KEY)
    runtime = Runtime(
        database_url, pool_size=pool_size, space=space, most_held=most_held, key_share_percent=key_share_percent
    )
    await runtime.start()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        app = create_app(runtime.services, space_seconds=space_seconds)
        server = uvicorn.Server(server_config(app, connections))
        serving = asyncio.create_task(server.serve([listener]))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
            yield Inside(runtime, port, client)
        runtime.drain()
        server.should_exit = True
        await serving
    await runtime.stop()
