"""Fifty connections of one project that ask for all they can get, and a neighbour with one thing at a time.

Measured by the service's own clocks, beside as many cheap calls of the same fifty.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service_process import ServiceProcess

StartService = Callable[..., Awaitable[ServiceProcess]]
WAITS = "jobtrack_db_connection_wait_seconds_bucket"
CONNECTIONS, ROUNDS, MOST_CALLS = 50, 60, 40
ITEMS, ITEMS_A_REPORT, JOBS = 100_000, 1_000, 3_000
LONGEST_WAIT = 1.0
"""Less than the longest statement of a rerun takes. Measured: 672 waits beside cheap calls, none over 10 ms; 715 beside
costly ones, none over 50 ms; without shares 1,303 of 3,772 over a second.
"""


async def post(client: httpx.AsyncClient, path: str, body: Any) -> Any:
    answer = await client.post(path, json=body)
    assert answer.is_success, (path, answer.status_code, answer.text)
    return answer.json()


async def finished_job(client: httpx.AsyncClient, items: int) -> str:
    """Create a job that has ended with so many items."""
    job = await post(client, "/v1/jobs", {"type": "large"})
    [claimed] = (await post(client, "/v1/claims", {"worker": "w", "types": ["large"], "lease_seconds": 600}))["jobs"]
    token = claimed["lease"]["token"]
    for first in range(0, items, ITEMS_A_REPORT):
        rows = [{"key": f"file-{n}", "status": "completed"} for n in range(first, first + ITEMS_A_REPORT)]
        await post(client, f"/v1/jobs/{job['id']}/report", {"token": token, "items": rows})
    await post(client, f"/v1/jobs/{job['id']}/complete", {"token": token})
    return str(job["id"])


class Greedy:
    """The fifty connections; they stop after so many calls each, or when the neighbour is done."""

    def __init__(self, service: ServiceProcess, call: Callable[[httpx.AsyncClient, int], Awaitable[int]]) -> None:
        self.statuses: Counter[int] = Counter()
        self._service = service
        self._call = call
        self._stopped = False

    async def run(self) -> None:
        async def loop(number: int) -> None:
            async with self._service.client(timeout=60) as client:
                for _ in range(MOST_CALLS):
                    if not self._stopped:
                        self.statuses[await self._call(client, number)] += 1

        await asyncio.gather(*(loop(number) for number in range(CONNECTIONS)))

    def stop(self) -> None:
        self._stopped = True


async def neighbour(client: httpx.AsyncClient) -> Counter[int]:
    """One worker and its producer, one call at a time."""
    statuses: Counter[int] = Counter()

    async def call(method: str, path: str, body: Any = None) -> Any:
        answer = await client.request(method, path, json=body)
        statuses[answer.status_code] += 1
        return answer.json() if answer.content else None

    for _ in range(ROUNDS):
        job = await call("POST", "/v1/jobs", {"type": "small"})
        taken = await call("POST", "/v1/claims", {"worker": "w", "types": ["small"]})
        for claimed in taken.get("jobs", ()):
            path, token = f"/v1/jobs/{claimed['id']}", claimed["lease"]["token"]
            await call("POST", f"{path}/report", {"token": token, "progress": 50})
            await call("POST", f"{path}/complete", {"token": token})
        await call("GET", f"/v1/jobs/{job['id']}")
        await call("GET", "/v1/jobs?limit=5")
    return statuses


async def waits_within_shares(client: httpx.AsyncClient) -> Counter[float]:
    """How many units that came within their project's share waited for a connection, up to each bound."""
    text = (await client.get("/metrics")).text
    found: Counter[float] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == WAITS and sample.labels["share"] == "within":
                found[float(sample.labels["le"])] += int(sample.value)
    return found


@pytest.mark.long
async def test_fifty_connections_of_one_project_make_no_unit_of_another_wait_longer_than_a_statement(
    start_service: StartService,
) -> None:
    service = await start_service()
    async with service.client(timeout=60) as greedy, service.client(timeout=60) as other:
        project = await post(greedy, "/v1/projects", {"name": "neighbour"})
        key = {"name": "n", "scopes": ["read", "submit", "work"], "project_id": project["id"]}
        other.headers["Authorization"] = f"Bearer {(await post(greedy, '/v1/keys', key))['key']}"
        large = await finished_job(greedy, ITEMS)
        for _ in range(JOBS // 1_000):
            await post(greedy, "/v1/jobs/batch", {"jobs": [{"type": "backlog"}] * 1_000})

        async def cheap(client: httpx.AsyncClient, _: int) -> int:
            return (await client.get(f"/v1/jobs/{large}")).status_code

        async def costly(client: httpx.AsyncClient, number: int) -> int:
            if number % 3 == 0:
                return (await client.post("/v1/claims", json={"worker": "w", "types": [f"no-{number}"]})).status_code
            if number % 3 == 1:
                return (await client.get("/v1/jobs", params={"label": f"none:{number}", "limit": 200})).status_code
            made = await client.post(f"/v1/jobs/{large}/rerun")
            if made.is_success:
                await client.post(f"/v1/jobs/{made.json()['id']}/cancel")
            return made.status_code

        for name, call in (("cheap", cheap), ("costly", costly)):
            before = await waits_within_shares(greedy)
            excess = Greedy(service, call)
            running = asyncio.create_task(excess.run())
            statuses = await neighbour(other)
            excess.stop()
            await running
            waits = await waits_within_shares(greedy)
            waits.subtract(before)
            assert set(statuses) <= {200, 201, 204}, (name, statuses)
            assert waits[float("inf")] == waits[LONGEST_WAIT] >= 5 * ROUNDS, (name, excess.statuses, waits)
