"""A project of a test's own, with a client of its API and browsers that are signed in with its keys."""

import html
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess

ALL = ("operator",)


class OwnProject:
    """A project that nobody else has jobs in."""

    def __init__(self, service: ServiceProcess, project_id: str, operator: httpx.AsyncClient) -> None:
        self._service = service
        self._project_id = project_id
        self._operator = operator
        self.api = operator

    async def key(self, scopes: Sequence[str] = ALL, queues: Sequence[str] | None = None) -> str:
        body = {"name": "browser", "scopes": scopes, "queues": queues, "project_id": self._project_id}
        made = await self._operator.post("/v1/keys", json=body)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])

    async def jobs(self, count: int = 1, **fields: Any) -> list[str]:
        """Create jobs; returns their ids, newest first."""
        rows = [{"type": "index", **fields} for _ in range(count)]
        made = await self.api.post("/v1/jobs/batch", json={"jobs": rows})
        assert made.status_code == 200, made.text
        return [row["job"]["id"] for row in reversed(made.json()["results"])]

    async def failed(self, code: str = "s3_down", message: str = "bucket gone", **fields: Any) -> str:
        """Create a job that has failed."""
        (job_id,) = await self.jobs(max_attempts=1, **fields)
        token = await self.claimed(job_id)
        ended = await self.api.post(
            f"/v1/jobs/{job_id}/fail", json={"token": token, "code": code, "message": message, "retryable": False}
        )
        assert ended.status_code == 200, ended.text
        return job_id

    async def claimed(self, job_id: str) -> str:
        """Claim a job; returns the token of its lease."""
        taken = await self.api.post("/v1/claims", json={"worker": "w1", "job_ids": [job_id]})
        return str(taken.json()["jobs"][0]["lease"]["token"])

    async def status(self, job_id: str) -> str:
        return str((await self.api.get(f"/v1/jobs/{job_id}")).json()["status"])

    @asynccontextmanager
    async def browser(
        self, scopes: Sequence[str] = ALL, queues: Sequence[str] | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that is signed in with a new key."""
        async with visitor(self._service) as opened:
            await sign_in(opened, await self.key(scopes, queues))
            yield opened


@asynccontextmanager
async def own_project(service: ServiceProcess) -> AsyncIterator[OwnProject]:
    async with service.client() as operator:
        project_id = (await operator.post("/v1/projects", json={"name": "pages"})).json()["id"]
        one = OwnProject(service, project_id, operator)
        headers = {"Authorization": f"Bearer {await one.key()}"}
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30) as api:
            one.api = api
            yield one


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}
