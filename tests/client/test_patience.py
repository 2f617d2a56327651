"""How long a worker tries, against a transport that plays the part of a service in trouble."""

import asyncio
import collections
import json
from typing import Any

import httpx
import pytest

from jobtrack_client import AsyncJobtrackClient, Fail, JobContext, Retry, Unavailable, Worker
from jobtrack_client.absence import Absence
from jobtrack_client.patience import pause_seconds

LEASE_SECONDS = 3
TROUBLE = [500, 503, 429, 408, 502, 504, 503, 503]


class Trouble(httpx.MockTransport):
    """Hands out one job; each call is answered as it should be only after every kind of trouble."""

    def __init__(self, job_type: str) -> None:
        self.calls: collections.Counter[str] = collections.Counter()
        self.ended = asyncio.Event()
        self._job = {
            "id": "1",
            "type": job_type,
            "attempt": 1,
            "checkpoint": None,
            "lease": {"token": "t", "expires_in_seconds": LEASE_SECONDS},
        }
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        call = request.url.path.rpartition("/")[2]
        self.calls[call] += 1
        if call == "claims":
            return httpx.Response(200, json={"jobs": [self._job] if self.calls[call] == 1 else []})
        if self.calls[call] == 1:
            # A proxy that answers in the service's place.
            return httpx.Response(200, json={"hello": "world"} if call == "report" else [])
        if self.calls[call] - 2 < len(TROUBLE):
            return httpx.Response(TROUBLE[self.calls[call] - 2], headers={"Retry-After": "30"})
        if call != "report":
            self.ended.set()
        lease = {"expires_in_seconds": LEASE_SECONDS}
        return httpx.Response(200, json={"status": "running", "cancel_requested": False, "lease": lease})


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each sleep, none of which is slept."""
    seconds: list[float] = []
    sleep = asyncio.sleep

    async def record(delay: float, result: Any = None) -> Any:
        seconds.append(delay)
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", record)
    return seconds


@pytest.mark.parametrize("ending", ["complete", "fail"])
async def test_a_word_is_repeated_until_it_arrives_and_the_pauses_fit_into_the_lease(
    pauses: list[float], ending: str
) -> None:
    async def handler(ctx: JobContext) -> str:
        ctx.report(50)
        await ctx.flush()
        if ending == "fail":
            raise Fail("busy", "later")
        return "done"

    transport = Trouble("work")
    async with AsyncJobtrackClient("http://jobs.test", "k", transport=transport, retry=Retry()) as client:
        worker = Worker(client, types={"work": handler}, lease_seconds=LEASE_SECONDS, claim_wait_seconds=0)
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(20):
            await transport.ended.wait()
        worker.stop()
        await running
    assert transport.calls["report"] > len(TROUBLE)
    assert transport.calls[ending] == len(TROUBLE) + 2
    assert len(pauses) >= 2 * len(TROUBLE)
    assert max(pauses) <= LEASE_SECONDS / 3


@pytest.mark.parametrize("status", [500, 429, 503, 200])
async def test_a_claim_that_fails_for_now_does_not_end_the_worker(pauses: list[float], status: int) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        if len(calls) == 2:
            worker.stop()
        return httpx.Response(status, json={"jobs": [{"id": "no lease"}]}, headers={"Retry-After": "30"})

    calls: list[int] = []
    transport = httpx.MockTransport(answer)
    async with AsyncJobtrackClient("http://jobs.test", "k", transport=transport, retry=Retry()) as client:
        worker = Worker(client, types={"work": print}, lease_seconds=1, claim_wait_seconds=0)
        await worker.run()
    assert len(calls) == 2
    assert max(pauses, default=0) <= 1 / 3


async def test_an_absence_is_one_warning_however_long_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        calls.append(1)
        if len(calls) == 5:
            worker.stop()
        return httpx.Response(503)

    calls: list[int] = []
    async with AsyncJobtrackClient("http://jobs.test", "k", transport=httpx.MockTransport(answer)) as client:
        worker = Worker(client, types={"work": print}, lease_seconds=1, claim_wait_seconds=0)
        await worker.run()
    assert len(calls) == 5
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


async def test_the_end_of_an_absence_is_noticed_by_a_claim_that_does_not_wait(caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        waits.append(json.loads(request.content).get("wait", 0))
        said.append("answers again" in caplog.text)
        if len(waits) == 6:
            worker.stop()
        return httpx.Response(503 if len(waits) in (2, 3, 5) else 200, json={"jobs": []})

    caplog.set_level("INFO", "jobtrack_client")
    waits: list[int] = []
    said: list[bool] = []
    async with AsyncJobtrackClient("http://jobs.test", "k", transport=httpx.MockTransport(answer)) as client:
        worker = Worker(client, types={"work": print}, lease_seconds=1)
        await worker.run()
    assert waits == [20, 20, 0, 0, 20, 0]
    assert said == [False, False, False, False, True, True]


def test_pauses_grow_until_a_claim_that_waits_is_answered() -> None:
    """What answers short claims alone, as a proxy does that waits for less, is not asked without a pause."""
    absence, away = Absence(1000), Unavailable("away", code="unreachable")
    for _ in range(9):
        absence.pause_after(away)
        absence.ended("http://jobs.test")
    assert absence.pause_after(away) > 60
    absence.ended("http://jobs.test")
    absence.ended("http://jobs.test")
    assert absence.pause_after(away) < 1


def test_a_pause_grows_to_its_bound_and_never_over_it() -> None:
    assert all(pause_seconds(failures, 1 / 3) <= 1 / 3 for failures in range(1, 2000))
    assert all(5 <= pause_seconds(failures, 10) <= 10 for failures in range(6, 2000))
