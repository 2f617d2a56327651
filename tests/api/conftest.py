"""Jobs and workers as short calls, each test in a queue of its own."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.conftest import CreateDatabase
from tests.service_process import ServiceProcess

BOTH_WAYS = {"test_jobs", "test_waits", "test_workers", "test_job_batches", "test_idempotency"}
"""The tests of hot routes: they run through those, and through the framework's own way to the same functions."""

Create = Callable[..., Awaitable[dict[str, Any]]]
Claim = Callable[..., Awaitable[dict[str, Any]]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "way" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in BOTH_WAYS:
        metafunc.parametrize("way", ["hot", "plain"], indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest) -> str:
    """By which way requests go; the hot one where nobody asks for both."""
    return str(getattr(request, "param", "hot"))


@pytest_asyncio.fixture(scope="session")
async def plain_service(create_database: CreateDatabase, room: Path) -> AsyncIterator[ServiceProcess]:
    """A service without hot routes."""
    one = ServiceProcess(await create_database(), room / "plain", {"JOBTRACK_HOT_ROUTES": "false"})
    await one.ready()
    yield one
    one.stop()


@pytest_asyncio.fixture
async def api(way: str, service: ServiceProcess, plain_service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared service, with its key."""
    async with (service if way == "hot" else plain_service).client() as client:
        yield client


@pytest.fixture
def queue() -> str:
    """A queue that no other test's worker takes from."""
    return f"api-{uuid.uuid4()}"


@pytest.fixture
def create(api: httpx.AsyncClient, queue: str) -> Create:
    """Make a job in the test's queue."""

    async def create(**fields: Any) -> dict[str, Any]:
        answer = await api.post("/v1/jobs", json={"type": "work", "queue": queue, **fields})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    return create


@pytest.fixture
def claim(api: httpx.AsyncClient, queue: str) -> Claim:
    """Take the one job that waits in the test's queue."""

    async def claim(**fields: Any) -> dict[str, Any]:
        answer = await api.post("/v1/claims", json={"worker": "w-1", "queues": [queue], **fields})
        assert answer.status_code == 200, answer.text
        [job] = answer.json()["jobs"]
        return dict(job)

    return claim
