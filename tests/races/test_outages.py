"""Live workers keep their jobs through outages of the database and restarts of every process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.races.calls import claim, create
from tests.service_process import ServiceProcess
from tests.tcp_proxy import TcpProxy, tcp_proxy

QUEUE = "outages"


@dataclass
class Worker:
    """Renews a lease three times in its length, and again at once while it is refused."""

    job: dict[str, object]
    lease_seconds: float
    reports: int = 0
    lost: list[str] = field(default_factory=list)

    async def work(self, service: "Service") -> None:
        body = {"token": self.job["lease"]["token"]}  # type: ignore[index]
        while not self.lost:
            status = 0
            with contextlib.suppress(httpx.TransportError):
                answer = await service.client.post(f"/v1/jobs/{self.job['id']}/report", json=body)
                status = answer.status_code
                self.reports += status == 200
                if 400 <= status < 500:
                    self.lost.append(answer.text)
            await asyncio.sleep(self.lease_seconds / 3 if status == 200 else 0.5)


@dataclass
class Service:
    """Two processes on a database behind a proxy; workers talk to the one that is up."""

    proxy: TcpProxy
    url: str
    room: Path
    processes: list[ServiceProcess] = field(default_factory=list)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def client(self) -> httpx.AsyncClient:
        return self.clients[-1]

    async def start(self) -> None:
        self.processes = [ServiceProcess(self.url, self.room / uuid4().hex[:8]) for _ in range(2)]
        await asyncio.gather(*(process.ready() for process in self.processes))
        self.clients.append(self.processes[0].client(timeout=10))

    def kill(self) -> None:
        for process in self.processes:
            process.kill()

    async def outage(self, seconds: float) -> None:
        await self.proxy.go_away()
        await asyncio.sleep(seconds)
        self.proxy.away = False

    async def restart_of_all(self, seconds: float) -> None:
        self.kill()
        await asyncio.sleep(seconds)
        await self.start()


@pytest.fixture
async def service(database_url: str, room: Path) -> AsyncIterator[Service]:
    async with tcp_proxy(database_url) as (proxy, url):
        serving = Service(proxy, url, room)
        try:
            await serving.start()
            yield serving
        finally:
            serving.kill()
            for client in serving.clients:
                await client.aclose()


@contextlib.asynccontextmanager
async def workers(service: Service, count: int, *leases: int) -> AsyncIterator[list[Worker]]:
    """Live workers with leases of these lengths; at the end each has been heard again and completes its job."""
    made: list[Worker] = []
    for n in range(count):
        await create(service.client, QUEUE, max_attempts=1 + n % 2)
        (job,) = await claim(service.client, QUEUE, lease_seconds=leases[n % len(leases)])
        made.append(Worker(job, leases[n % len(leases)]))
    async with asyncio.TaskGroup() as running:
        tasks = [running.create_task(worker.work(service)) for worker in made]
        yield made
        before = [worker.reports for worker in made]
        async with asyncio.timeout(60):
            while any(w.reports < b + 2 and not w.lost for w, b in zip(made, before, strict=True)):
                await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
    assert [worker.lost for worker in made if worker.lost] == []
    for worker in made:
        body = {"token": worker.job["lease"]["token"]}  # type: ignore[index]
        answer = await service.client.post(f"/v1/jobs/{worker.job['id']}/complete", json=body)
        assert (answer.status_code, answer.json()["attempt"]) == (200, 1), answer.text


@pytest.mark.long
async def test_live_workers_keep_their_jobs_through_an_outage_longer_than_their_leases(service: Service) -> None:
    async with workers(service, 8, 2, 4):
        await service.outage(6)


async def test_live_workers_keep_their_jobs_through_a_restart_of_every_process(service: Service) -> None:
    async with workers(service, 8, 2, 4):
        await service.restart_of_all(4)


@pytest.mark.long
async def test_a_worker_that_died_before_an_outage_loses_its_job_after_it(service: Service) -> None:
    await create(service.client, QUEUE)
    await claim(service.client, QUEUE, lease_seconds=2)
    await service.outage(4)
    async with asyncio.timeout(30):
        while True:
            taken = await service.client.post("/v1/claims", json={"queues": [QUEUE], "worker": "v", "wait": 5})
            if taken.status_code == 200 and taken.json()["jobs"]:
                break
    assert taken.json()["jobs"][0]["attempt"] == 2


@pytest.mark.long
@pytest.mark.parametrize("outages", [(5,), (30,), (120,), (5, 5), (30, 30)], ids=str)
async def test_of_a_hundred_live_workers_none_loses_its_job(service: Service, outages: tuple[int, ...]) -> None:
    async with workers(service, 100, 6, 30):
        for number, seconds in enumerate(outages):
            if number:
                await asyncio.sleep(5)
            await service.outage(seconds)


@pytest.mark.long
async def test_of_a_hundred_live_workers_none_loses_its_job_to_a_restart_of_all(service: Service) -> None:
    async with workers(service, 100, 6, 30):
        await service.restart_of_all(40)
