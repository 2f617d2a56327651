"""What follows a job goes on until the job has ended or its own time is over: against a transport and a clock of ours.

The clock only moves while something waits, so that an absence of a minute takes no time.
"""

import asyncio
import inspect
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from jobtrack_client import AsyncJobtrackClient, JobFailed, JobtrackClient, NotEnded, NotFound, Unavailable
from jobtrack_client.follow import FIRST_ANSWER_SECONDS
from tests.client.played_service import ENDED, RUNNING, Answer, Service, answer_of, frame, streamed

# Longer than a client goes on whose address may be wrong.
ABSENCE_SECONDS = 2 * FIRST_ANSWER_SECONDS


class Clock:
    """The time of the client, which passes while it sleeps and while the service lets it wait."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("follow", "sender", "waits", "walks"):
        monkeypatch.setattr(f"jobtrack_client.{module}.time", clock)
    for module in ("sender", "waits", "walks"):
        monkeypatch.setattr(f"jobtrack_client.{module}.asyncio", SimpleNamespace(sleep=clock.sleep_async))
    return clock


Jobs = Any
Follow = Callable[[Jobs], Any]
FOLLOWS: dict[str, Follow] = {
    "wait": lambda jobs: jobs.wait("1"),
    "run": lambda jobs: jobs.run("t"),
    "wait_jobs": lambda jobs: jobs.wait_jobs(["1"]),
    "get_job": lambda jobs: jobs.get_job("1", wait=-1),
    "follow_logs": lambda jobs: jobs.follow_logs("1"),
    "stream_job": lambda jobs: jobs.stream_job("1"),
}


def outcome(kind: str, service: Service, follow: Follow, before: Follow | None = None) -> Any:
    """Follow with one of the two clients; the result, or all that was yielded."""
    if kind == "sync":
        with JobtrackClient("http://jobs.test", "secret", transport=service) as jobs:
            if before:
                before(jobs)
            result = follow(jobs)
            return [*result] if inspect.isgenerator(result) else result

    async def follow_async() -> Any:
        async with AsyncJobtrackClient("http://jobs.test", "secret", transport=service) as jobs:
            if before:
                await before(jobs)
            result = follow(jobs)
            return [one async for one in result] if inspect.isasyncgen(result) else await result

    return asyncio.run(follow_async())


def is_of_the_end(result: Any) -> bool:
    """Whether what was returned or yielded last belongs to the end of the job."""
    last = result[-1] if isinstance(result, list) else result
    name = getattr(last, "name", None)
    return name == "job.completed" or last in (ENDED, ENDED["result"], {"message": "last"}) or last["jobs"] == [ENDED]


both = pytest.mark.parametrize("kind", ["sync", "async"])
every = pytest.mark.parametrize("name", FOLLOWS)


@both
@every
@pytest.mark.parametrize("away", ["refused", "503", "429", "cut"])
def test_absence_ends_nothing(kind: str, name: str, away: str, clock: Clock) -> None:
    back_at = clock.now + ABSENCE_SECONDS
    answers = {"503": httpx.Response(503), "429": httpx.Response(429), "cut": httpx.Response(200, content=b"   {")}

    def answer(request: httpx.Request, number: int) -> Answer:
        if number == 1 or (request.url.path, request.method) == ("/v1/jobs", "POST"):
            return httpx.Response(200, json=RUNNING)
        if clock.now >= back_at:
            return answer_of(request, ENDED, "condition")
        if away == "cut" and request.url.path.endswith("/stream"):
            return streamed(b'event: job\ndata: {"id', cut=True)
        return answers.get(away) or httpx.ConnectError("refused")

    assert is_of_the_end(outcome(kind, Service(answer), FOLLOWS[name], before=lambda jobs: jobs.get_job("1")))
    assert clock.now >= back_at


@both
@every
def test_answer_of_a_service_that_stops_ends_nothing(kind: str, name: str) -> None:
    service = Service(lambda request, number: answer_of(request, *_ends("shutdown", number)))
    assert is_of_the_end(outcome(kind, service, FOLLOWS[name]))
    assert len(service.requests) >= 4


def _ends(why: str, number: int) -> tuple[dict[str, Any], str]:
    """The first three waits end early, the fourth with the job."""
    return (RUNNING, why) if number < 4 else (ENDED, "condition")


@both
@pytest.mark.parametrize("name", ["get_job", "follow_logs", "stream_job"])
def test_longest_time_of_one_call_ends_nothing(kind: str, name: str) -> None:
    """50 s of a GET, ten minutes of a stream: each an answer like any other."""
    service = Service(lambda request, number: answer_of(request, *_ends("timeout", number)))
    assert is_of_the_end(outcome(kind, service, FOLLOWS[name]))
    assert len(service.requests) == 4


@both
def test_get_waits_as_long_as_its_caller_in_calls_of_fifty_seconds(kind: str, clock: Clock) -> None:
    def answer(request: httpx.Request, _: int) -> Answer:
        clock.now += int(request.url.params["wait"])
        return answer_of(request, RUNNING, "timeout")

    service = Service(answer)
    assert outcome(kind, service, lambda jobs: jobs.get_job("1", wait=120)) == RUNNING
    assert [request.url.params["wait"] for request in service.requests] == ["50", "50", "20"]


TEN_SECONDS: dict[str, Follow] = {
    "wait_jobs": lambda jobs: jobs.wait_jobs(["1"], wait=10),
    "get_job": lambda jobs: jobs.get_job("1", wait=10),
    "wait": lambda jobs: jobs.wait("1", timeout=10),
}


@both
@pytest.mark.parametrize("name", TEN_SECONDS)
def test_own_time_ends_an_absence(kind: str, name: str, clock: Clock) -> None:
    began = clock.now
    with pytest.raises(Unavailable):
        outcome(kind, Service(lambda *_: httpx.ConnectError("refused")), TEN_SECONDS[name])
    assert 10 <= clock.now - began < 20


@both
@pytest.mark.parametrize("name", TEN_SECONDS)
def test_own_time_ends_the_wait_for_a_service_that_hangs(kind: str, name: str, clock: Clock) -> None:
    def answer(request: httpx.Request, _: int) -> Answer:
        clock.now += request.extensions["timeout"]["read"]
        return httpx.ReadTimeout("hung")

    service = Service(answer)
    with pytest.raises(Unavailable, match="did not answer in time"):
        outcome(kind, service, TEN_SECONDS[name])
    assert len(service.requests) == 1


@both
@every
def test_follower_that_begins_in_an_absence_of_a_minute_goes_on(kind: str, name: str, clock: Clock) -> None:
    back_at = clock.now + 60

    def answer(request: httpx.Request, _: int) -> Answer:
        if clock.now >= back_at or (request.url.path, request.method) == ("/v1/jobs", "POST"):
            return answer_of(request, ENDED, "condition")
        return httpx.ConnectError("refused")

    assert is_of_the_end(outcome(kind, Service(answer), FOLLOWS[name]))


@both
@every
def test_address_that_never_answered_is_given_up(kind: str, name: str, clock: Clock) -> None:
    began = clock.now
    with pytest.raises(Unavailable, match="Cannot reach Jobtrack"):
        outcome(kind, Service(lambda *_: httpx.ConnectError("refused")), FOLLOWS[name])
    assert clock.now - began < 2 * FIRST_ANSWER_SECONDS


@both
def test_wait_whose_time_is_over_raises_with_the_job(kind: str) -> None:
    service = Service(lambda request, _: answer_of(request, RUNNING, "timeout"))
    with pytest.raises(NotEnded, match="Job 1 has not ended yet, it is running") as caught:
        outcome(kind, service, lambda jobs: jobs.wait("1", timeout=0))
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.job == RUNNING


@both
@pytest.mark.parametrize("error", [{"code": "no_disk", "message": "it is full"}, None])
@pytest.mark.parametrize("status", ["failed", "expired", "cancelled", "a_newer_one"])
def test_run_raises_the_error_of_the_job(kind: str, status: str, error: Any) -> None:
    job = {**ENDED, "status": status, "error": error}
    service = Service(lambda request, _: answer_of(request, job, "condition"))
    with pytest.raises(JobFailed) as caught:
        outcome(kind, service, FOLLOWS["run"])
    assert caught.value.job == job
    assert caught.value.code == (error["code"] if error else status)
    assert str(caught.value) == f"Job 1 ended as {status}" + (": no_disk: it is full" if error else "")


@both
def test_run_returns_the_result_with_failed_items_too(kind: str) -> None:
    job = {**ENDED, "status": "completed_with_failures"}
    service = Service(lambda request, _: answer_of(request, job, "condition"))
    follow: Follow = lambda jobs: jobs.run("t", queue="q", payload=[1], idempotency_key="k", timeout=5)  # noqa: E731
    assert outcome(kind, service, follow) == {"n": 1}
    assert json.loads(service.requests[0].content) == {"type": "t", "queue": "q", "payload": [1]}
    assert service.requests[0].headers["Idempotency-Key"] == "k"


@both
def test_wait_for_a_job_that_is_deleted_says_so(kind: str) -> None:
    def answer(request: httpx.Request, _: int) -> Answer:
        if request.method == "GET":
            return httpx.Response(404, json={"code": "not_found", "detail": "There is no such job."})
        return httpx.Response(200, json={"jobs": [], "not_found": ["1"], "ended_by": "condition"})

    with pytest.raises(NotFound):
        outcome(kind, Service(answer), FOLLOWS["wait"])


@both
def test_stream_resumes_before_an_event_that_was_cut_off(kind: str) -> None:
    """Half an event is neither glued to the next connection nor taken for heard."""
    begun = frame("job.progressed", {"n": 2}, "c")
    connections = (
        streamed(frame("snapshot", RUNNING, "a"), frame("job.progressed", {"n": 1}, "b"), begun[:-1], cut=True),
        streamed(frame("snapshot", RUNNING, "b"), begun, b'event: job\ndata: {"id"', cut=True),
        httpx.Response(503),
        streamed(frame("snapshot", RUNNING, "c"), frame("job", ENDED), frame("job.completed", {}, "d"), cut=True),
        httpx.Response(204),
    )
    service = Service(lambda _, number: connections[number - 1])
    told = outcome(kind, service, FOLLOWS["stream_job"])
    assert [event.data["n"] for event in told if event.name == "job.progressed"] == [1, 2]
    assert [request.headers.get("Last-Event-ID") for request in service.requests] == [None, "b", "c", "c", "d"]


@both
def test_stream_that_was_read_proves_the_address(kind: str, clock: Clock) -> None:
    def read(jobs: Jobs) -> Any:
        async def read_async() -> list[Any]:
            return [event async for event in jobs.stream_job("1")]

        return read_async() if kind == "async" else [*jobs.stream_job("1")]

    def answer(request: httpx.Request, number: int) -> Answer:
        if number == 1 or clock.now >= back_at:
            return answer_of(request, ENDED, "condition")
        return httpx.ConnectError("refused")

    back_at = clock.now + ABSENCE_SECONDS
    assert is_of_the_end(outcome(kind, Service(answer), FOLLOWS["wait"], before=read))


@both
def test_stream_ends_where_the_service_has_nothing_more_to_tell(kind: str) -> None:
    """By 204 alone: the end itself was not told, as it is not where retention has removed its event."""
    connections = (streamed(frame("snapshot", RUNNING, "a"), cut=True), httpx.Response(204))
    service = Service(lambda _, number: connections[number - 1])
    assert [event.name for event in outcome(kind, service, FOLLOWS["stream_job"])] == ["snapshot"]
    assert len(service.requests) == 2


@both
def test_stream_of_a_project_goes_on_after_each_end(kind: str) -> None:
    connections = (
        streamed(frame("snapshot", {}, "a")),
        streamed(frame("job.created", {}, "b"), frame("reset", {})),
        httpx.Response(401, json={"code": "unauthorized", "detail": "No."}),
    )
    service = Service(lambda _, number: connections[number - 1])
    with pytest.raises(Exception, match="No"):
        outcome(kind, service, lambda jobs: jobs.stream_events())
    assert [request.headers.get("Last-Event-ID") for request in service.requests] == [None, "a", "b"]
