"""Two services on one database, as two hosts would run them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest_asyncio

from tests.service_process import ServiceProcess


@dataclass(frozen=True)
class Pair:
    """Two processes, a client of each, and their database."""

    first: httpx.AsyncClient
    second: httpx.AsyncClient
    processes: tuple[ServiceProcess, ServiceProcess]
    database_url: str


@pytest_asyncio.fixture(scope="session")
async def pair(
    create_database: Callable[..., Awaitable[str]], room: Path, _processes: list[ServiceProcess]
) -> AsyncIterator[Pair]:
    """Two services that start at once on a new database: each would install the first key."""
    url = await create_database()
    one, two = (ServiceProcess(url, room / uuid4().hex[:8]) for _ in range(2))
    _processes += [one, two]
    await asyncio.gather(one.ready(), two.ready())
    async with one.client() as first, two.client() as second:
        yield Pair(first, second, (one, two), url)
    assert (one.stop(), two.stop()) == (0, 0)
