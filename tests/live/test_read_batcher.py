"""Coalescing: one query per round trip, and never an answer older than the question."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from app.domain.errors import UnansweredError, UnavailableError
from app.live.read_batcher import ReadBatcher


class Gated:
    """Stands in for the database: every query waits until the test lets it through."""

    def __init__(self) -> None:
        self.queries: list[list[str]] = []
        self.sent: asyncio.Queue[asyncio.Event] = asyncio.Queue()
        self.failure: Exception | None = None

    async def read(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        return await function(self, *arguments)

    async def load(self, _: Any, keys: Sequence[str]) -> dict[str, str]:
        gate = asyncio.Event()
        self.queries.append(list(keys))
        self.sent.put_nowait(gate)
        await gate.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.upper() for key in keys if key != "unknown"}


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
def batcher(gated: Gated) -> ReadBatcher[str, str]:
    return ReadBatcher(gated, gated.load)  # type: ignore[arg-type]


async def test_lookups_that_arrive_together_are_one_query(gated: Gated, batcher: ReadBatcher[str, str]) -> None:
    asking = [asyncio.create_task(batcher.get(key)) for key in ("a", "b", "a", "unknown")]
    (await gated.sent.get()).set()
    assert await asyncio.gather(*asking) == ["A", "B", "A", None]
    assert gated.queries == [["a", "b", "unknown"]]


async def test_a_lookup_never_joins_a_query_in_flight(gated: Gated, batcher: ReadBatcher[str, str]) -> None:
    first = asyncio.create_task(batcher.get("a"))
    first_gate = await gated.sent.get()
    late = [asyncio.create_task(batcher.get(key)) for key in ("a", "b")]
    await asyncio.sleep(0)
    first_gate.set()
    assert await first == "A"
    assert not any(task.done() for task in late)
    (await gated.sent.get()).set()
    assert await asyncio.gather(*late) == ["A", "B"]
    assert gated.queries == [["a"], ["a", "b"]]


async def test_a_caller_that_leaves_takes_nobody_with_it(gated: Gated, batcher: ReadBatcher[str, str]) -> None:
    leaving = asyncio.create_task(batcher.get("a"))
    staying = asyncio.create_task(batcher.get("a"))
    gate = await gated.sent.get()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    gate.set()
    assert await staying == "A"


async def test_a_failure_reaches_all_who_asked_and_the_next_query_works(
    gated: Gated, batcher: ReadBatcher[str, str]
) -> None:
    gated.failure = UnavailableError("away")
    asking = [asyncio.create_task(batcher.get("a")) for _ in range(2)]
    (await gated.sent.get()).set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [UnavailableError, UnavailableError]
    gated.failure = None
    again = asyncio.create_task(batcher.get("a"))
    (await gated.sent.get()).set()
    assert await again == "A"


async def test_those_who_stood_behind_a_query_without_an_answer_wait_no_second_time(
    gated: Gated, batcher: ReadBatcher[str, str]
) -> None:
    gated.failure = UnansweredError("silent")
    first = asyncio.create_task(batcher.get("a"))
    gate = await gated.sent.get()
    behind = asyncio.create_task(batcher.get("b"))
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(10):
        for asking in (first, behind):
            with pytest.raises(UnansweredError):
                await asking
    assert gated.queries == [["a"]]

    gated.failure = None
    after = asyncio.create_task(batcher.get("c"))
    (await gated.sent.get()).set()
    assert await after == "C"


async def test_callers_hear_of_a_task_that_was_cancelled_under_them(
    gated: Gated, batcher: ReadBatcher[str, str]
) -> None:
    first = asyncio.create_task(batcher.get("a"))
    await gated.sent.get()
    behind = asyncio.create_task(batcher.get("b"))
    await asyncio.sleep(0)
    sending = batcher._sending
    assert sending is not None
    sending.cancel()
    async with asyncio.timeout(10):
        for asking in (first, behind):
            with pytest.raises(UnavailableError):
                await asking
    after = asyncio.create_task(batcher.get("c"))
    (await gated.sent.get()).set()
    assert await after == "C"
