"""A project of a test's own in the shared service, where nobody else's jobs are seen: cheaper than a service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess


@asynccontextmanager
async def own_project(service: ServiceProcess) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """A client of the API and a browser that is signed in, with the only key of a new project."""
    async with service.client() as operator:
        project = (await operator.post("/v1/projects", json={"name": "a test's"})).json()["id"]
        new = {"name": "the only", "scopes": ["admin"], "project_id": project}
        key = (await operator.post("/v1/keys", json=new)).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as api, visitor(service) as browser:
        await sign_in(browser, key)
        yield api, browser
