"""Jobs and workers as short calls, each test in a queue of its own."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

Create = Callable[..., Awaitable[dict[str, Any]]]
Claim = Callable[..., Awaitable[dict[str, Any]]]


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
