"""Clients of the running service, and what a test needs to watch them."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from jobtrack_client import AsyncJobtrackClient


class Recording(httpx.AsyncHTTPTransport):
    """The real network, with every request kept and every answer told."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[httpx.Request] = []
        self.answered: asyncio.Queue[str] = asyncio.Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = await super().handle_async_request(request)
        self.answered.put_nowait(request.url.path)
        return response


@pytest.fixture
def recording() -> Recording:
    return Recording()


@pytest_asyncio.fixture
async def client(service: Any, recording: Recording) -> AsyncIterator[AsyncJobtrackClient]:
    async with AsyncJobtrackClient(service.url, service.api_key, transport=recording) as client:
        yield client


@pytest.fixture
def queue() -> str:
    """A queue of the test's own, so that no other test's worker takes its jobs."""
    return f"test-{uuid.uuid4()}"
