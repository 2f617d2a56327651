"""What is sent, what is sent again, and what is raised: against a transport that plays the service's part."""

import json
from collections.abc import Callable

import httpx
import pytest

from jobtrack_client import (
    AlreadyTerminal,
    AsyncJobtrackClient,
    Conflict,
    Forbidden,
    InvalidTransition,
    JobtrackClient,
    JobtrackError,
    LeaseLost,
    NotFound,
    Retry,
    Unauthorized,
    Unavailable,
    Unprocessable,
)
from jobtrack_client.models import Report

AT_ONCE = Retry(attempts=3, first_pause_seconds=0)
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Script(httpx.MockTransport):
    """Gives the answers in order, the last one for ever, and keeps the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers)
        super().__init__(self._next)

    def _next(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer


def client(script: Script, url: str = "http://jobs.test") -> JobtrackClient:
    return JobtrackClient(url, "secret", retry=AT_ONCE, transport=script)


def ok(body: object) -> Answer:
    return lambda _: httpx.Response(200, json=body)


def problem(status: int, code: str, **more: object) -> Answer:
    body = {"status": status, "code": code, "detail": "So it is", **more}
    return lambda _: httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json"})


def test_a_create_is_sent_again_under_the_same_idempotency_key() -> None:
    script = Script(httpx.ReadError("cut"), ok({"id": "1"}))
    with client(script) as jobs:
        assert jobs.create_job("index", queue="q", payload={"a": 1})["id"] == "1"
        jobs.create_job("index")
    first, second, third = script.requests
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.headers["Idempotency-Key"] != third.headers["Idempotency-Key"]
    assert json.loads(first.content) == {"type": "index", "queue": "q", "payload": {"a": 1}}
    assert first.headers["Authorization"] == "Bearer secret"


def test_a_claim_that_may_have_arrived_is_not_sent_again() -> None:
    script = Script(httpx.ReadError("cut"), ok({"jobs": []}))
    with client(script) as jobs, pytest.raises(Unavailable):
        jobs.claim(worker="w")
    assert len(script.requests) == 1


@pytest.mark.parametrize("answer", [httpx.ConnectError("refused"), problem(429, "too_many_requests")])
def test_a_claim_that_did_nothing_is_sent_again(answer: Answer) -> None:
    script = Script(answer, ok({"jobs": []}))
    with client(script) as jobs:
        assert jobs.claim(worker="w") == []
    assert len(script.requests) == 2


@pytest.mark.parametrize("action", ["complete", "fail", "release", "report"])
def test_calls_under_a_token_are_sent_again(action: str) -> None:
    script = Script(
        problem(503, "unavailable"),
        httpx.ReadTimeout("slow"),
        ok({"id": "1", "lease": {"expires_in_seconds": 30}, "cancel_requested": False}),
    )
    with client(script) as jobs:
        more = {"code": "c", "message": "m"} if action == "fail" else {}
        getattr(jobs, action)("1", "t", **more)
    assert len(script.requests) == 3
    assert len({request.content for request in script.requests}) == 1


def test_retry_after_is_honoured_up_to_a_bound() -> None:
    busy = httpx.Response(503, json={"detail": "starting", "code": "unavailable"}, headers={"Retry-After": "3600"})
    script = Script(lambda _: busy)
    with client(script) as jobs, pytest.raises(Unavailable, match=r"http://jobs\.test cannot answer now: starting"):
        jobs.get_job("1")
    assert len(script.requests) == 1


def test_nobody_there_is_one_sentence_with_the_address() -> None:
    script = Script(httpx.ConnectError("All connection attempts failed"))
    with client(script) as jobs, pytest.raises(Unavailable) as caught:
        jobs.get_job("1")
    assert str(caught.value).startswith("Cannot reach Jobtrack at http://jobs.test: ")
    assert len(script.requests) == AT_ONCE.attempts


def test_health_is_asked_once() -> None:
    script = Script(httpx.ConnectError("refused"))
    with client(script) as jobs, pytest.raises(Unavailable):
        jobs.health()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed", Unprocessable),
        (401, "unauthorized", Unauthorized),
        (403, "forbidden", Forbidden),
        (404, "not_found", NotFound),
        (409, "lease_lost", LeaseLost),
        (409, "already_terminal", AlreadyTerminal),
        (409, "invalid_transition", InvalidTransition),
        (409, "input_gone", Conflict),
        (418, "teapot", JobtrackError),
        (422, "invalid", Unprocessable),
        (500, "internal", JobtrackError),
    ],
)
def test_problems_become_errors(status: int, code: str, kind: type[JobtrackError]) -> None:
    script = Script(problem(status, code, job={"id": "1"}, errors=[{"pointer": "/a"}], retryable=False))
    with client(script) as jobs, pytest.raises(kind) as caught:
        jobs.complete("1", "t")
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, str(error)) == (status, code, "So it is")
    assert error.problem["job"] == error.job
    assert (error.errors, error.retryable) == ([{"pointer": "/a"}], False)


def test_an_error_page_of_a_proxy_is_an_error_too() -> None:
    script = Script(lambda _: httpx.Response(404, text="<h1>nginx</h1>"))
    with client(script) as jobs, pytest.raises(NotFound, match="HTTP 404 Not Found"):
        jobs.get_job("1")


@pytest.mark.parametrize("content", [b"", b"   ", b"<html>", b"[]", b'"x"', b'   {"jobs":'])
def test_an_answer_that_is_none_is_unavailable(content: bytes) -> None:
    script = Script(lambda _: httpx.Response(200, content=content))
    with client(script) as jobs, pytest.raises(Unavailable, match="does not speak Jobtrack's protocol"):
        jobs.wait_jobs(["1"])


def test_white_space_before_a_late_answer_is_none_of_the_callers_business() -> None:
    script = Script(lambda _: httpx.Response(200, content=b'     {"jobs": [], "not_found": ["1"]}'))
    with client(script) as jobs:
        assert jobs.wait_jobs(["1"])["not_found"] == ["1"]


@pytest.mark.parametrize(("wait", "read"), [(-1, 60), (0, 30), (50, 65), (3600, 3615)])
def test_the_read_timeout_exceeds_the_wait(wait: int, read: int) -> None:
    script = Script(ok({"jobs": [], "not_found": []}))
    with client(script) as jobs:
        jobs.wait_jobs(["1"], wait=wait, until="change", versions={"1": 4}, include=["result"])
    (request,) = script.requests
    assert request.extensions["timeout"]["read"] == read
    assert json.loads(request.content) == {
        "ids": ["1"],
        "until": "change",
        "versions": {"1": 4},
        "include": ["result"],
        "wait": wait,
    }


def test_unchanged_is_none() -> None:
    script = Script(lambda _: httpx.Response(304))
    with client(script, "http://jobs.test/prefix/") as jobs:
        assert jobs.get_job("a/b", wait=7, if_none_match=12) is None
    (request,) = script.requests
    assert str(request.url) == "http://jobs.test/prefix/v1/jobs/a%2Fb?wait=7"
    assert request.headers["If-None-Match"] == '"12"'


def test_batches_keep_the_order_and_every_outcome() -> None:
    results = [{"job_id": "1", "outcome": {"status": "running"}}, {"job_id": "2", "problem": {"code": "lease_lost"}}]
    script = Script(ok({"results": results}))
    entries: list[Report] = [
        {"job_id": "1", "action": "report", "token": "t"},
        {"job_id": "2", "action": "complete", "token": "u"},
    ]
    with client(script) as jobs:
        assert jobs.reports(entries) == results
    assert json.loads(script.requests[0].content) == {"reports": entries}


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "nonsense", "http://", "http://host:port"])
def test_a_wrong_address_is_one_sentence(url: str) -> None:
    with pytest.raises(Unavailable, match="is not an address of Jobtrack"):
        JobtrackClient(url)


def test_a_wrong_key_is_one_sentence() -> None:
    with pytest.raises(Unauthorized):
        JobtrackClient("http://127.0.0.1:1", "schlüssel")


def test_the_environment_gives_what_arguments_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRACK_URL", "http://elsewhere.test")
    monkeypatch.setenv("JOBTRACK_API_KEY", "from-the-environment\n")
    script = Script(ok({"status": "ready"}))
    with JobtrackClient(transport=script) as jobs:
        jobs.health()
        assert jobs.url == "http://elsewhere.test"
    assert script.requests[0].headers["Authorization"] == "Bearer from-the-environment"


async def test_both_clients_offer_the_same_and_behave_the_same() -> None:
    script = Script(httpx.ReadError("cut"), ok({"id": "1"}))
    async with AsyncJobtrackClient("http://jobs.test", "secret", retry=AT_ONCE, transport=script) as jobs:
        assert (await jobs.create_job("index"))["id"] == "1"
    assert len(script.requests) == 2
    public = {name for name in vars(JobtrackClient) if not name.startswith("_")}
    assert public == {name for name in vars(AsyncJobtrackClient) if not name.startswith("_")}
    assert all(getattr(kind, name).__doc__ for kind in (JobtrackClient, AsyncJobtrackClient) for name in public)
