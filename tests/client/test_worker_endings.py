"""Every way in which a handler can end ends its attempt, and nothing else of the worker."""

import asyncio
import contextlib
import json
import types
from collections.abc import Callable
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Done, Fail, JobContext, Worker

Working = Callable[..., contextlib.AbstractAsyncContextManager[Worker]]


class MuteError(Exception):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class Stop(BaseException):
    """What ends whole programs elsewhere."""


class Forgetful(Fail):
    def __init__(self) -> None:
        pass


class Hostile(dict[str, int]):
    def items(self) -> Any:
        raise SystemExit


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(70):
        value = [value]
    return value


def endless() -> list[Any]:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    return value


ERRORS: dict[str, tuple[BaseException, str, str]] = {
    "stop-iteration": (StopIteration(), "runtime_error", "StopIteration"),
    "stop-async-iteration": (StopAsyncIteration(), "stop_async_iteration", "StopAsyncIteration"),
    "exit": (SystemExit(3), "system_exit", "SystemExit(3)"),
    "interrupt": (KeyboardInterrupt(), "keyboard_interrupt", "KeyboardInterrupt()"),
    "generator-exit": (GeneratorExit(), "generator_exit", "GeneratorExit()"),
    "cancelled": (asyncio.CancelledError(), "cancelled_error", "CancelledError()"),
    "base": (Stop("now"), "stop", "Stop('now')"),
    "group": (BaseExceptionGroup("both", [SystemExit(1)]), "base_exception_group", "both"),
    "surrogate": (ValueError("caf\udce9.txt"), "value_error", "caf\\udce9.txt"),
    "nul": (ValueError("bad \x00 byte"), "value_error", "bad \\x00 byte"),
    "mute": (MuteError(), "mute_error", "cannot be shown"),
    "long": (ValueError("x" * 50_000), "value_error", "x" * 4000),
    "recursion": (RecursionError("deep"), "recursion_error", "deep"),
    "fail-negative": (Fail("busy", "later", retry_after_seconds=-1), "busy", "later"),
    "fail-huge": (Fail("busy", "later", retry_after_seconds=10**6), "busy", "later"),
    "fail-nan": (Fail("busy", "later", retry_after_seconds=float("nan")), "busy", "later"),
    "fail-long": (Fail("code" * 100, "y" * 5000), "codecode", "yyyy"),
    "fail-empty": (Fail("", ""), "fail", ""),
    "fail-odd": (Fail(ValueError("a"), ValueError("b")), "a", "b"),  # type: ignore[arg-type]
    "fail-forgetful": (Forgetful(), "forgetful", "Forgetful"),
}
RESULTS: dict[str, tuple[object, str]] = {
    "set": ({1, 2}, "result_not_json"),
    "nan": (float("nan"), "result_not_json"),
    "half-a-pair": ("\ud800", "result_not_json"),
    "zero-byte": ("\x00", "result_refused"),
    "tuple-key": ({(1, 2): 3}, "result_not_json"),
    "hostile": (Hostile(a=1), "result_not_json"),
    "too-deep": (deep(), "result_refused"),
    "endless": (endless(), "result_not_json"),
    "too-long": ("x" * 2**20, "result_refused"),
    "far-too-long": ("x" * 2**24, "result_refused"),
    "many-digits": (10**5000, "result_not_json"),
    "billing": (Done(None, billing={1}), "result_not_json"),
}


def plain(ctx: JobContext) -> object:
    if ctx.payload in ERRORS:
        raise ERRORS[ctx.payload][0]
    return RESULTS[ctx.payload][0] if ctx.payload in RESULTS else "well"


async def coroutine(ctx: JobContext) -> object:
    return plain(ctx)


def wrong_signature() -> None:
    raise AssertionError


async def wrong_coroutine() -> None:
    raise AssertionError


@pytest.mark.parametrize("handler", [plain, coroutine])
async def test_an_ending_ends_its_attempt_and_nothing_else(
    client: AsyncJobtrackClient, queue: str, working: Working, handler: Any
) -> None:
    kinds = [*ERRORS, *RESULTS, "well"]
    jobs = {(await client.create_job("work", queue=queue, payload=kind, max_attempts=1))["id"]: kind for kind in kinds}
    # One place: the worker has to survive each ending to come to the next job.
    async with working(handler, queues=[queue]):
        ended = (await client.wait_jobs([*jobs], wait=20, include=["result"]))["jobs"]
    states = {jobs[job["id"]]: job for job in ended}
    assert (states["well"]["status"], states["well"]["result"]) == ("completed", "well")
    expected = {kind: error[1:] for kind, error in ERRORS.items()} | {
        # What is too long by far is not even sent.
        kind: (code, "bytes of JSON" if kind.endswith("too-long") else "")
        for kind, (_, code) in RESULTS.items()
    }
    wrong = {
        kind: (states[kind]["status"], states[kind]["error"])
        for kind, (code, message) in expected.items()
        if (error := states[kind]["error"]) is None
        or states[kind]["status"] != "failed"
        or not error["code"].startswith(code)
        or message not in error["message"]
    }
    assert wrong == {}


@pytest.mark.parametrize("handler", [wrong_signature, wrong_coroutine])
async def test_a_handler_that_cannot_be_called_fails_its_attempt(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Any, handler: Any
) -> None:
    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "type_error")


async def test_a_thread_that_cannot_start_fails_the_attempt(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoThread:
        def __init__(self, **_: Any) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("jobtrack_client.handler.threading", types.SimpleNamespace(Thread=NoThread))
    job = await client.create_job("work", queue=queue, max_attempts=1)
    async with working(plain, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "runtime_error")


async def test_an_error_that_text_cannot_hold_is_retried_like_any_other(
    client: AsyncJobtrackClient, queue: str, working: Working, ended: Any
) -> None:
    def handler(ctx: JobContext) -> str:
        if ctx.job["attempt"] == 1:
            raise ValueError("bad byte \x00 in caf\udce9.txt")
        return "second"

    await client.put_queue(queue, retry={"delay_seconds": 0, "factor": 1, "max_delay_seconds": 0})
    job = await client.create_job("work", queue=queue, max_attempts=2)
    async with working(handler, queues=[queue]):
        done = await ended(job["id"])
    assert (done["status"], done["attempt"], done["result"]) == ("completed", 2, "second")
    (line,) = (await client.read_logs(job["id"]))["logs"]
    assert line["level"] == "error"
    assert line["message"].endswith("ValueError: bad byte \\x00 in caf\\udce9.txt\n")
    assert json.dumps(line)
