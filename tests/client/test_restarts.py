"""All that follows a job, over a service that is stopped, away, killed and started again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest_asyncio

from jobtrack_client import AsyncJobtrackClient, Job, JobtrackClient
from tests.cli.commands import reach, run
from tests.conftest import StartService
from tests.service_process import ServiceProcess

FOLLOWERS = 15


@pytest_asyncio.fixture
async def held(start_service: StartService) -> AsyncIterator[tuple[ServiceProcess, Job]]:
    """A service of the test's own, and a job that is held under a long lease."""
    service = await start_service()
    async with AsyncJobtrackClient(service.url, service.api_key) as jobs:
        claim = {"worker": "me", "lease_seconds": 3600}
        yield service, await jobs.create_job("t", engine="test", claim=claim)


def _in_thread(pool: ThreadPoolExecutor, call: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
    """Not in the loop's own pool: a small machine gives it fewer threads than there are followers."""
    return asyncio.get_running_loop().run_in_executor(pool, call, *arguments)


async def _listed(stream: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in stream]


async def test_nothing_that_follows_a_job_ends_before_it_does(held: tuple[ServiceProcess, Job]) -> None:
    service, job = held
    job_id, version, commands = job["id"], job["version"], reach(service)
    with JobtrackClient(service.url, service.api_key) as sync, ThreadPoolExecutor(8) as pool:
        async with AsyncJobtrackClient(service.url, service.api_key) as jobs:
            waits: list[Any] = [
                _in_thread(pool, sync.wait, job_id),
                jobs.wait(job_id, timeout=600),
                _in_thread(pool, sync.get_job, job_id, -1),
                jobs.get_job(job_id, wait=600),
                jobs.get_job(job_id, wait=-1, if_none_match=version),
            ]
            many: list[Any] = [
                _in_thread(pool, sync.wait_jobs, [job_id]),
                jobs.wait_jobs([job_id], include=["result"]),
                jobs.wait_jobs([job_id], until="change", versions={job_id: version}, wait=600),
            ]
            streams: list[Any] = [
                _in_thread(pool, lambda: [*sync.stream_job(job_id)]),
                _listed(jobs.stream_job(job_id)),
            ]
            logs: list[Any] = [
                _in_thread(pool, lambda: [*sync.follow_logs(job_id)]),
                _listed(jobs.follow_logs(job_id)),
            ]
            shells: list[Any] = [
                run("jobs", "wait", job_id, **commands),
                run("jobs", "watch", job_id, "--json", **commands),
                run("jobs", "logs", job_id, "-f", **commands),
            ]
            groups = [waits, many, streams, logs, shells]
            following = [[asyncio.ensure_future(one) for one in group] for group in groups]
            everyone = [one for group in following for one in group]
            assert len(everyone) == FOLLOWERS
            await _all_wait(service, everyone)
            service.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(service.process.wait, 20) == 0
            service.start()
            await _all_wait(service, everyone)
            service.kill()
            service.start()
            await _all_wait(service, everyone)
            token = job["lease"]["token"]  # type: ignore[typeddict-item]
            await jobs.report(job_id, token, logs=[{"level": "info", "message": "last"}])
            await jobs.complete(job_id, token, result=[1])
            async with asyncio.timeout(60):
                ended = [await asyncio.gather(*group) for group in following]
    assert all(one["status"] == "completed" and one["result"] == [1] for one in ended[0][:4])
    assert ended[0][4]["version"] > version
    assert [states["jobs"][0]["status"] for states in ended[1][:2]] == ["completed", "completed"]
    assert {states["ended_by"] for states in ended[1]} == {"condition"}
    for told in ended[2]:
        assert [event.name for event in told[-2:]] == ["job", "job.completed"]
    assert [[line["message"] for line in lines] for lines in ended[3]] == [["last"], ["last"]]
    assert [shell.returncode for shell in ended[4]] == [0, 0, 0]
    assert json.loads(ended[4][1].stdout.splitlines()[-1])["event"] == "job.completed"
    assert ended[4][2].stdout.endswith("last\n")


async def _all_wait(service: ServiceProcess, following: list[asyncio.Future[Any]]) -> None:
    """Wait until the service has the wait of each; none may have ended meanwhile."""
    await service.ready()
    async with asyncio.timeout(60):
        while await service.open_waits() < len(following):
            assert not [one for one in following if one.done()]
            await asyncio.sleep(0.02)
