"""What the live tests of all dialects share: jobs made and worked on over the native API."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

MakeJob = Callable[..., Awaitable[dict[str, Any]]]


class Work:
    """A worker of one job at a time, by hand."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self._api = api

    async def claim(self, job_id: str) -> str:
        """Take a job; gives the token."""
        asked = {"worker": "test", "job_ids": [job_id], "max": 1, "lease_seconds": 60}
        answer = await self._api.post("/v1/claims", json=asked)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["jobs"][0]["lease"]["token"])

    async def say(self, job_id: str, verb: str, token: str, **fields: Any) -> None:
        """Report, complete, fail or release."""
        answer = await self._api.post(f"/v1/jobs/{job_id}/{verb}", json={"token": token, **fields})
        assert answer.status_code == 200, answer.text

    async def finish(self, job_id: str, **fields: Any) -> None:
        """Claim and complete."""
        await self.say(job_id, "complete", await self.claim(job_id), **fields)


@pytest.fixture
def work(api: httpx.AsyncClient) -> Work:
    return Work(api)


@pytest.fixture
def make_job(api: httpx.AsyncClient) -> MakeJob:
    """Create a job in a queue of the test's own."""

    async def make(**fields: Any) -> dict[str, Any]:
        body = {"type": "document_processing", "queue": f"test-{uuid4()}", **fields}
        answer = await api.post("/v1/jobs", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make
