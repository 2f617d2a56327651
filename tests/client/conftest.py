"""Clients of the running service, and what a test needs to watch them."""

import asyncio
import contextlib
import json
import queue as queue_module
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from jobtrack_client import AsyncJobtrackClient, Job, JobContext, Worker


class Recording(httpx.AsyncHTTPTransport, httpx.BaseTransport):
    """The real network, with every request kept and every answer told; also for the threads of a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[httpx.Request] = []
        self.answered: asyncio.Queue[str] = asyncio.Queue()
        self.answered_in_thread: queue_module.Queue[Any] = queue_module.Queue()
        self._of_threads = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._of_threads.handle_request(request)
        self.answered_in_thread.put(json.loads(request.content))
        return response

    def close(self) -> None:
        self._of_threads.close()

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


@pytest.fixture
def working(client: AsyncJobtrackClient) -> Callable[..., contextlib.AbstractAsyncContextManager[Worker]]:
    """A worker of one handler for the type `work`, stopped at the end of the block."""

    @contextlib.asynccontextmanager
    async def working(handler: Callable[[JobContext], Any], **options: Any) -> AsyncIterator[Worker]:
        worker = Worker(client, types={"work": handler}, claim_wait_seconds=5, **options)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running

    return working


@pytest.fixture
def ended(client: AsyncJobtrackClient) -> Callable[[str], Awaitable[Job]]:
    """The job once it has ended, or as it stands after 20 s."""

    async def ended(job_id: str) -> Job:
        (job,) = (await client.wait_jobs([job_id], wait=20, include=["result", "billing"]))["jobs"]
        return job

    return ended
