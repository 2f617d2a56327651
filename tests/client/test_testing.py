"""Handlers run without a service: the outcome is what the service would know."""

import asyncio
from typing import Any

import pytest

from jobtrack_client import Done, Fail, JobContext
from jobtrack_client.testing import run, run_async

LETTERS = ["a", "b", "c", "d"]


def test_the_outcome_has_all_that_the_handler_says() -> None:
    def handler(ctx: JobContext) -> Done:
        ctx.report(40, stage="reading", message="half", items_total=7)
        ctx.item(key="a", status="completed", result={"pages": 2})
        ctx.log("warning", "a is short")
        ctx.save_checkpoint({"at": 1})
        return Done({"echo": ctx.payload, "rerun": ctx.is_rerun}, billing={"pages": 2})

    outcome = run(handler, ("x", 1))
    assert (outcome.status, outcome.error) == ("completed", None)
    assert outcome.result == {"echo": ["x", 1], "rerun": False}
    assert outcome.billing == {"pages": 2}
    assert (outcome.progress, outcome.stage, outcome.message, outcome.total) == (40, "reading", "half", 7)
    assert outcome.items == {"a": {"key": "a", "status": "completed", "result": {"pages": 2}}}
    assert [(line["level"], line["message"]) for line in outcome.logs] == [("warning", "a is short")]
    assert outcome.checkpoint == {"at": 1}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ValueError("no"), "retrying", "value_error"),
        (Fail("torn", "no"), "retrying", "torn"),
        (Fail("torn", "no", retryable=False), "failed", "torn"),
    ],
)
def test_an_exception_is_the_error(error: Exception, status: str, code: str) -> None:
    def handler(_: JobContext) -> None:
        raise error

    outcome = run(handler)
    assert (outcome.status, outcome.error) == (status, {"code": code, "message": "no"})
    assert run(handler, max_attempts=1).status == "failed"


async def test_a_coroutine_runs_in_the_tests_own_loop() -> None:
    async def handler(ctx: JobContext) -> list[str]:
        seen = []
        async for letter in ctx.track(LETTERS):
            await ctx.flush()
            seen.append(letter)
        return seen

    outcome = await run_async(handler)
    assert outcome.result == LETTERS
    assert outcome.keys("completed") == LETTERS
    with pytest.raises(RuntimeError, match="run_async"):
        run(handler)


def test_an_attempt_goes_on_where_the_last_one_stopped() -> None:
    done: list[str] = []

    def handler(ctx: JobContext) -> None:
        for letter in ctx.track(ctx.todo(default=ctx.payload)):
            done.append(letter)
            if len(done) == 2:
                raise OSError("away")

    first = run(handler, LETTERS)
    assert (first.status, first.attempt, first.keys("failed")) == ("retrying", 1, ["b"])
    assert first.items["b"]["error_code"] == "oserror"
    second = run(handler, retry_of=first)
    assert (second.status, second.attempt, second.keys("completed")) == ("completed", 2, LETTERS)
    assert "error_code" not in second.items["b"]
    assert done == ["a", "b", "b", "c", "d"]


def test_a_rerun_is_about_the_failed_items() -> None:
    def handler(ctx: JobContext) -> list[str]:
        track, seen = ctx.track(ctx.todo(default=LETTERS)), []
        for letter in track:
            seen.append(letter)
            with track.guard(ValueError):
                if letter in "bd" and not ctx.is_rerun:
                    raise ValueError(letter)
        return seen

    first = run(handler)
    assert (first.status, first.keys("failed")) == ("completed_with_failures", ["b", "d"])
    second = run(handler, rerun_of=first)
    assert (second.status, second.result, second.attempt) == ("completed", ["b", "d"], 1)


def test_items_and_a_checkpoint_can_be_there_from_the_beginning() -> None:
    def handler(ctx: JobContext) -> Any:
        return [*ctx.todo(default=LETTERS), ctx.checkpoint]

    assert run(handler, items=["x", "y"], checkpoint={"at": 1}).result == ["x", "y", {"at": 1}]


@pytest.mark.parametrize("cancel_at", ["c", "late"])
def test_a_cancel_comes_where_it_is_told_to(cancel_at: str) -> None:
    def in_thread(ctx: JobContext) -> None:
        for letter in ctx.track(LETTERS):
            if letter == "c":
                ctx.report(stage="late")

    async def in_loop(ctx: JobContext) -> None:
        async for letter in ctx.track(LETTERS):
            if letter == "c":
                ctx.report(stage="late")
                await asyncio.Event().wait()

    threaded, looped = run(in_thread, cancel_at=cancel_at), run(in_loop, cancel_at=cancel_at)
    assert (threaded.status, threaded.keys("completed")) == ("cancelled", ["a", "b", "c"])
    assert (looped.status, looped.keys("completed"), looped.keys("queued")) == ("cancelled", ["a", "b"], ["c"])


def test_what_the_service_would_refuse_is_refused() -> None:
    def handler(ctx: JobContext) -> None:
        ctx.item(key="a", status="complete")
        ctx.items([{"key": "b", "colour": "red"}])  # type: ignore[typeddict-unknown-key]
        ctx.item(key="c", status="completed")

    outcome = run(handler)
    assert (outcome.status, list(outcome.items)) == ("completed", ["c"])
    lines = " ".join(line["message"] for line in outcome.logs)
    assert "'a' was refused" in lines
    assert "'b' was refused" in lines
    strict = run(handler, strict_items=True)
    assert strict.error is not None
    assert (strict.status, strict.error["code"]) == ("failed", "report_refused")


def test_a_handler_that_does_not_end_is_ended() -> None:
    async def handler(_: JobContext) -> None:
        await asyncio.Event().wait()

    outcome = run(handler, max_run_seconds=0.05)
    assert outcome.error is not None
    assert (outcome.status, outcome.error["code"]) == ("retrying", "run_too_long")


def test_a_result_that_cannot_be_stored_fails_here_too() -> None:
    outcome = run(lambda _: {1, 2})
    assert outcome.error is not None
    assert (outcome.status, outcome.error["code"]) == ("failed", "result_not_json")
