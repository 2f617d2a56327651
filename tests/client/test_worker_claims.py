"""How a worker gets its next jobs: with the ends of those before, several in one call where many run."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from jobtrack_client import AsyncJobtrackClient, Fail, Job, JobContext, Worker

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]
Rule = Callable[[httpx.Request, Callable[[], Awaitable[httpx.Response]]], Awaitable[httpx.Response]]


class Between(httpx.AsyncHTTPTransport):
    """What stands between the worker and the service, and acts by a rule."""

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule = rule
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls.append((request.url.path.rpartition("/")[2], json.loads(request.content)))

        async def forward() -> httpx.Response:
            response = await super(Between, self).handle_async_request(request)
            await response.aread()
            return response

        return await self._rule(request, forward)


async def create(client: AsyncJobtrackClient, queue: str, count: int) -> list[str]:
    made = await client.create_jobs([{"type": "work", "queue": queue, "payload": number} for number in range(count)])
    return [row["job"]["id"] for row in made if row["job"]]


@contextlib.asynccontextmanager
async def working_behind(service: Any, rule: Rule, handler: Any, queue: str, **options: Any) -> Any:
    transport = Between(rule)
    async with AsyncJobtrackClient(service.url, service.api_key, transport=transport) as client:
        worker = Worker(client, types={"work": handler}, queues=[queue], claim_wait_seconds=5, **options)
        running = asyncio.create_task(worker.run())
        try:
            yield worker, transport, running
        finally:
            worker.stop()
            await running


async def states(client: AsyncJobtrackClient, jobs: list[str]) -> list[str]:
    return [job["status"] for job in (await client.wait_jobs(jobs, wait=30))["jobs"]]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("ending", ["complete", "fail"])
async def test_a_worker_in_steady_work_makes_no_claims_between_jobs(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working, concurrency: int, ending: str
) -> None:
    jobs = await create(client, queue, 20)
    started: list[int] = []
    started_at_claim: list[int] = []
    handle = recording.handle_async_request

    async def note(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/claims":
            started_at_claim.append(len(started))
        response: httpx.Response = await handle(request)
        return response

    recording.handle_async_request = note

    async def handler(ctx: JobContext) -> None:
        started.append(ctx.payload)
        if ending == "fail":
            raise Fail("never", "for good", retryable=False)

    async with working(handler, queues=[queue], concurrency=concurrency):
        assert await states(client, jobs) == ["completed" if ending == "complete" else "failed"] * 20
    assert started_at_claim[0] == 0
    assert set(started_at_claim[1:]) <= {20}, "claims were made while there was work"
    assert sorted(started) == list(range(20))


async def test_many_jobs_travel_together_and_each_gets_its_own_answer(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working
) -> None:
    count = 24
    together = asyncio.Barrier(count)

    async def handler(ctx: JobContext) -> object:
        await together.wait()
        ctx.report(message="half")
        # One that the service refuses, so that its report comes back from among the others.
        ctx.items([{"key": "bad", "status": "no-such-status"}, {"key": "good", "status": "completed"}])
        await ctx.flush()
        await together.wait()
        if ctx.payload % 4 == 1:
            raise Fail("odd", f"{ctx.payload}", retryable=False)
        return ctx.payload if ctx.payload % 4 else "\x00"

    jobs = await create(client, queue, 2 * count)
    async with working(handler, queues=[queue], concurrency=count):
        await states(client, jobs)
    ended = (await client.wait_jobs(jobs, include=["result"]))["jobs"]
    for number, job in enumerate(ended):
        code = job["error"] and job["error"]["code"]
        expected = {0: ("failed", "result_refused"), 1: ("failed", "odd")}.get(number % 4, ("completed", None))
        assert (job["status"], code, job["result"]) == (*expected, None if code else number)
        assert job["counts"]["processed"] == 1
    bodies = [json.loads(request.content) for request in recording.requests if request.url.path == "/v1/reports"]
    assert max(len(body["reports"]) for body in bodies) > count / 4
    assert any(body.get("claim", {}).get("max", 0) > 1 for body in bodies)
    alone = [request for request in recording.requests if "/jobs/" in request.url.path]
    assert len(bodies) + len(alone) < 2 * count, "reports and ends were sent one by one"


async def test_two_calls_with_ends_are_under_way_and_hold_up_no_report(
    service: Any, client: AsyncJobtrackClient, queue: str
) -> None:
    jobs = await create(client, queue, 12)
    all_ended = asyncio.Event()
    sent: list[int] = []
    ended: list[int] = []

    async def rule(request: httpx.Request, forward: Any) -> httpx.Response:
        body = json.loads(request.content)
        if "claim" in body:
            sent.append(len(body.get("reports", [body])))
            await all_ended.wait()
        response: httpx.Response = await forward()
        return response

    async def handler(ctx: JobContext) -> None:
        # One after the other: what ends in the same moment would be sent together anyway.
        while len(ended) < ctx.payload or len(sent) < min(len(ended), 2):
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        # A report, which does not wait for the ends that hang.
        await ctx.flush()
        ended.append(ctx.payload)
        if len(ended) == len(jobs):
            asyncio.get_running_loop().call_later(0, all_ended.set)

    async with working_behind(service, rule, handler, queue, concurrency=12):
        assert await states(client, jobs) == ["completed"] * 12
    assert (sent[:2], sum(sent)) == ([1, 1], 12)
    assert len(sent) <= 5


async def test_the_place_of_an_abandoned_handler_claims_nothing(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working
) -> None:
    go_on, started = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def handler(_: JobContext) -> None:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(20)

    (job,) = await create(client, queue, 1)
    async with working(handler, queues=[queue], concurrency=2, lease_seconds=1, grace_seconds=0.1):
        await started.wait()
        await client.cancel(job)
        assert await states(client, [job]) == ["cancelled"]
        go_on.set()
    (end,) = [request for request in recording.requests if request.url.path.endswith("/release")]
    assert "claim" not in json.loads(end.content)


async def test_a_job_in_a_lost_answer_is_run_after_its_lease_and_the_end_counts_once(
    service: Any, client: AsyncJobtrackClient, queue: str
) -> None:
    first, second = await create(client, queue, 2)
    lost: list[dict[str, Any]] = []
    runs: list[str] = []

    async def rule(request: httpx.Request, forward: Any) -> httpx.Response:
        response: httpx.Response = await forward()
        if request.url.path.endswith("/complete") and not lost:
            lost.extend(response.json()["claimed"])
            raise httpx.ReadError("the answer is lost", request=request)
        return response

    async def handler(ctx: JobContext) -> None:
        runs.append(ctx.job["id"])

    async with working_behind(service, rule, handler, queue, lease_seconds=1) as (_, transport, _):
        assert await states(client, [first, second]) == ["completed", "completed"]
    assert [job["id"] for job in lost] == [second]
    assert runs == [first, second]
    assert [name for name, _ in transport.calls].count("complete") == 3
    assert (await client.get_job(first))["attempt"] == 1
    assert (await client.get_job(second))["attempt"] == 2


async def test_jobs_that_come_after_the_stop_are_given_back_unworked(
    service: Any, client: AsyncJobtrackClient, queue: str
) -> None:
    first, second = await create(client, queue, 2)
    runs: list[str] = []

    async def rule(request: httpx.Request, forward: Any) -> httpx.Response:
        response: httpx.Response = await forward()
        if request.url.path.endswith("/complete"):
            assert [job["id"] for job in response.json()["claimed"]] == [second]
            worker.stop()
        return response

    async def handler(ctx: JobContext) -> None:
        runs.append(ctx.job["id"])

    async with working_behind(service, rule, handler, queue) as (worker, transport, running):
        await asyncio.wait_for(running, 20)
    given_back = await client.get_job(second)
    assert (given_back["status"], given_back["attempt"]) == ("pending", 0)
    assert runs == [first]
    assert "claim" not in dict(transport.calls)["release"], "a worker that stops claims nothing"


async def test_a_worker_that_was_stopped_claims_nothing_with_its_last_ends(
    client: AsyncJobtrackClient, queue: str, recording: Any, working: Working
) -> None:
    first, second = await create(client, queue, 2)
    go_on = asyncio.Event()

    async def handler(_: JobContext) -> None:
        worker.stop()
        go_on.set()

    async with working(handler, queues=[queue]) as worker:
        await go_on.wait()
    assert await states(client, [first]) == ["completed"]
    assert (await client.get_job(second))["status"] == "pending"
    (end,) = [request for request in recording.requests if request.url.path.endswith("/complete")]
    assert "claim" not in json.loads(end.content)


@pytest.mark.parametrize("status", [422, 403])
async def test_an_end_whose_claim_is_refused_counts_and_claims_are_made_alone(
    service: Any, client: AsyncJobtrackClient, queue: str, status: int
) -> None:
    jobs = await create(client, queue, 3)

    async def rule(request: httpx.Request, forward: Any) -> httpx.Response:
        if "claim" in json.loads(request.content):
            fault = {"pointer": "/claim", "code": "extra_forbidden", "message": "Unknown field"}
            return httpx.Response(status, json={"code": "invalid", "detail": "/claim: no", "errors": [fault]})
        response: httpx.Response = await forward()
        return response

    async def handler(_: JobContext) -> None:
        pass

    async with working_behind(service, rule, handler, queue) as (_, transport, _):
        assert await states(client, jobs) == ["completed"] * 3
    assert sum("claim" in body for _, body in transport.calls) == 1
