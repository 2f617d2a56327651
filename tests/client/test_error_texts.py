"""What an error says where people see it: in the exception, and in the job that a worker had to fail."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from jobtrack_client import (
    AsyncJobtrackClient,
    Job,
    JobContext,
    JobtrackClient,
    JobtrackError,
    Unauthorized,
    Unprocessable,
    Worker,
)
from tests.cli.commands import UNKNOWN

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Refused = Callable[[JobtrackClient], object]
REFUSED: dict[str, tuple[Refused, str]] = {
    "an unknown field": (lambda jobs: jobs.create_job("x", prioriy=3), "/prioriy: Extra inputs are not permitted."),
    "several": (
        lambda jobs: jobs.create_job("", priority=99_999),
        "/type: String should have at least 1 character (and 1 more).",
    ),
    "a query": (
        lambda jobs: next(jobs.iter_jobs(status=["faild"])),
        "?status/0: Input should be 'pending', 'dispatched', ",
    ),
    "an item": (
        lambda jobs: jobs.report(UNKNOWN, UNKNOWN, items=[{"key": "a.csv", "status": "complete"}]),
        "/items/0/status: Input should be 'queued', ",
    ),
    "a scope": (lambda jobs: jobs.create_key("k", ["foo"]), "/scopes/0: Input should be 'read', "),
    "a rule of a queue": (
        lambda jobs: jobs.put_queue("q", concurrency_limit=-1),
        "/concurrency_limit: Input should be ",
    ),
    "no text": (lambda jobs: jobs.create_job("x", payload={"a": ["\0"]}), "/payload/a/0: Text may hold no NUL "),
}


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_exception_names_the_first_fault(service: Any, call: Refused, said: str) -> None:
    with JobtrackClient(service.url, service.api_key) as jobs, pytest.raises(Unprocessable) as refused:
        call(jobs)
    assert str(refused.value).startswith(said)
    assert refused.value.errors[0]["pointer"] == said.partition(":")[0]


@pytest.mark.parametrize(
    ("report", "result", "error"),
    [
        (
            lambda ctx: ctx.save_checkpoint({"a": "\0"}),
            None,
            ("report_refused", "/checkpoint/a: Text may hold no NUL and no half of a surrogate pair."),
        ),
        (
            lambda ctx: ctx.item(key="a.csv", status="complete"),
            None,
            ("report_refused", "item 'a.csv': /status: Input should be 'queued', 'processing', "),
        ),
        (
            lambda _: None,
            {"a": "\0"},
            ("result_refused", "/result/a: Text may hold no NUL and no half of a surrogate pair."),
        ),
    ],
    ids=["a checkpoint", "an item", "a result"],
)
async def test_failed_job_keeps_the_first_fault_of_the_call_that_was_refused(
    client: AsyncJobtrackClient,
    queue: str,
    working: Working,
    ended: Callable[[str], Awaitable[Job]],
    report: Callable[[JobContext], None],
    result: object,
    error: tuple[str, str],
) -> None:
    async def handler(ctx: JobContext) -> object:
        report(ctx)
        return result

    job = await client.create_job("work", queue=queue)
    async with working(handler, queues=[queue], strict_items=True):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", error[0])
    assert done["error"]["message"].startswith(error[1])


def test_missing_key_is_said_with_how_to_give_one(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBTRACK_API_KEY", raising=False)
    with JobtrackClient(service.url) as jobs, pytest.raises(Unauthorized, match="set JOBTRACK_API_KEY"):
        jobs.create_job("x")
    with (
        JobtrackClient(service.url, "no-such-key") as jobs,
        pytest.raises(Unauthorized, match="This API key is not valid"),
    ):
        jobs.create_job("x")


def test_error_of_another_server_is_cut() -> None:
    """A worker stores the sentence in its job, where a longer one would be refused."""

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        return httpx.Response(422, content=json.dumps({"detail": ["x" * 1_000_000]}))

    transport = httpx.MockTransport(answer)
    with JobtrackClient("http://other", "key", transport=transport) as jobs, pytest.raises(JobtrackError) as refused:
        jobs.create_job("x")
    assert len(str(refused.value)) == 2000
