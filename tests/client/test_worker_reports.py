"""What a handler says, against the running service: nothing of it is worth the job, unless it is asked to be."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Job, JobContext, Worker

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]
Ended = Callable[[str], Awaitable[Job]]
MIB = 2**20


def many_long_lines(ctx: JobContext) -> None:
    for _ in range(100):
        ctx.log("info", "l" * 11_000)


def one_long_line(ctx: JobContext) -> None:
    ctx.log("info", "l" * 20_000)


def odd_lines(ctx: JobContext) -> None:
    ctx.log("warn", "half a pair: \ud800")
    ctx.log(40, "zero byte: \x00")
    ctx.log("loud", "\x01" * 40_000)


def all_parts_at_once(ctx: JobContext) -> None:
    ctx.items([{"key": f"{number}", "message": "i" * 4000} for number in range(125)])
    for _ in range(60):
        ctx.log("info", "l" * 12_000)
    ctx.save_checkpoint("c" * 700_000)


def many_values(ctx: JobContext) -> None:
    ctx.items([{"key": f"{number}", "result": [0] * 900} for number in range(125)])


def long_fields(ctx: JobContext) -> None:
    ctx.report(100.00000000000001, stage="s" * 300, message="m" * 5000)


def refused_fields(ctx: JobContext) -> None:
    ctx.report(50, stage="", items_total=-1)


@pytest.mark.parametrize(
    ("said", "lines", "items"),
    [
        (many_long_lines, 100, 0),
        (one_long_line, 2, 0),
        (odd_lines, 5, 0),
        (all_parts_at_once, 60, 125),
        (many_values, 0, 125),
        (long_fields, 0, 0),
        (refused_fields, 2, 0),
    ],
)
async def test_whatever_is_said_the_job_completes(
    client: AsyncJobtrackClient,
    queue: str,
    working: Working,
    ended: Ended,
    said: Callable[[JobContext], None],
    lines: int,
    items: int,
) -> None:
    def handler(ctx: JobContext) -> str:
        said(ctx)
        return "worth it"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"], done["error"]) == ("completed", "worth it", None)
    assert done["counts"]["total"] == items
    assert len((await client.read_logs(job["id"]))["logs"]) == lines


REFUSED: dict[str, dict[str, Any]] = {
    "status": {"status": "complete"},
    "size": {"size_bytes": "4"},
    "field": {"colour": "red"},
    "key": {"key": ""},
    "result": {"result": "x" * 5000},
    "deep": {"result": eval("[" * 70 + "]" * 70)},
    "long-key": {"result": {"k" * 300: 1}},
    "zero-byte": {"result": "\x00"},
    "half-a-pair": {"result": "\ud800"},
    "not-json": {"result": {1}},
    "far-too-long": {"result": "x" * 3 * MIB},
}


async def test_a_refused_item_update_is_logged_with_its_reason_and_dropped(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(ctx: JobContext) -> str:
        for number in range(300):
            ctx.item(key=f"good {number}", status="completed", error_message="e" * 5000)
        for kind, fields in REFUSED.items():
            ctx.items([{"key": f"bad {kind}", **fields}])  # type: ignore[typeddict-item]
        ctx.items([{"status": "completed"}, 5])  # type: ignore[typeddict-item, list-item]
        return "worth it"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["result"]) == ("completed", "worth it")
    assert done["counts"] == {"total": 300, "processed": 300, "failed": 0, "skipped": 0}
    lines = [line["message"] for line in (await client.read_logs(job["id"]))["logs"]]
    for kind in REFUSED.keys() - {"key"}:
        assert sum(f"item 'bad {kind}' was refused and dropped: " in line for line in lines) == 1, kind
    assert len(lines) == len(REFUSED) + 2
    assert "/status: Input should be 'queued'" in next(line for line in lines if "bad status" in line)
    assert [record.getMessage() for record in caplog.records if "refused and dropped" in record.getMessage()] == [
        f"job {job['id']}: {line}" for line in lines
    ]


@pytest.mark.parametrize(
    ("kind", "code"), [("status", "report_refused"), ("deep", "report_refused"), ("not-json", "type_error")]
)
async def test_strict_items_fail_the_job(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended, kind: str, code: str
) -> None:
    async def handler(ctx: JobContext) -> str:
        ctx.items([{"key": "bad", **REFUSED[kind]}])  # type: ignore[typeddict-item]
        await ctx.flush()
        return "worth nothing"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue], strict_items=True):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", code)
    assert code != "report_refused" or "'bad'" in done["error"]["message"]


async def test_a_checkpoint_that_is_refused_fails_the_job(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    def handler(ctx: JobContext) -> str:
        ctx.save_checkpoint({"name": "\x00"})
        return "worth nothing"

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert (done["status"], done["error"]["code"]) == ("failed", "report_refused")


async def test_flush_from_the_event_loop_is_refused(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Ended
) -> None:
    async def handler(ctx: JobContext) -> None:
        ctx.flush_from_thread()

    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert done["error"] is not None
    assert done["error"]["code"] == "runtime_error"
