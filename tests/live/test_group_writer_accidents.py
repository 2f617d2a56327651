"""Whatever happens to a batch, each of its callers gets an answer, and so do those behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest

from app.db.connection import Connection
from app.db.engine import Database
from app.domain.errors import UnansweredError, UnavailableError
from app.live import group_writer
from app.live.change_feed import Change
from app.live.group_writer import GroupWriter
from app.live.outcomes import Applied


class Gate:
    """Stands before the database: a batch waits until the test lets it through, and may fail."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.failure: Exception | None = None

    async def write(self, function: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        self.began.set()
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return await self._database.write(function, *arguments)


async def apply(_: Connection, numbers: Sequence[int]) -> Applied[int]:
    return Applied(list(numbers))


def ignore(_: Iterable[Change]) -> None:
    pass


@pytest.fixture
def gate(database: Database) -> Gate:
    return Gate(database)


@pytest.fixture
def writer(gate: Gate) -> GroupWriter[int, int]:
    return GroupWriter(gate, apply, ignore)  # type: ignore[arg-type]


async def two_in_a_row(gate: Gate, writer: GroupWriter[int, int]) -> list[asyncio.Task[int]]:
    """Begin a write, and another one behind it."""
    first = asyncio.create_task(writer.submit(1))
    await gate.began.wait()
    behind = asyncio.create_task(writer.submit(2))
    await asyncio.sleep(0)
    return [first, behind]


async def answers(tasks: Iterable[asyncio.Task[int]]) -> list[Any]:
    async with asyncio.timeout(10):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_those_behind_a_batch_without_an_answer_wait_no_second_time(
    gate: Gate, writer: GroupWriter[int, int]
) -> None:
    gate.failure = UnansweredError("silent")
    tasks = await two_in_a_row(gate, writer)
    gate.go.set()
    first, behind = await answers(tasks)
    assert isinstance(first, UnansweredError)
    assert isinstance(behind, UnavailableError)
    assert "nothing was changed" in behind.message
    gate.failure = None
    assert await writer.submit(3) == 3


async def test_callers_hear_of_a_task_that_was_cancelled_under_them(gate: Gate, writer: GroupWriter[int, int]) -> None:
    tasks = await two_in_a_row(gate, writer)
    assert writer._writing is not None
    writer._writing.cancel()
    assert [type(outcome) for outcome in await answers(tasks)] == [UnavailableError, UnavailableError]
    gate.go.set()
    assert await writer.submit(3) == 3


async def test_what_is_committed_is_answered_though_it_could_not_be_announced(database: Database) -> None:
    def broken(_: Iterable[Change]) -> None:
        raise RuntimeError

    assert await answers([asyncio.create_task(GroupWriter(database, apply, broken).submit(1))]) == [1]


async def test_a_batch_with_too_few_outcomes_is_an_error_for_those_without(database: Database) -> None:
    async def forgetful(_: Connection, numbers: Sequence[int]) -> Applied[int]:
        return Applied(list(numbers)[:1])

    writer = GroupWriter(database, forgetful, ignore)
    first, second = await answers([asyncio.create_task(writer.submit(n)) for n in (1, 2)])
    assert first == 1
    assert isinstance(second, ValueError)
    assert await writer.submit(3) == 3


async def test_gather_that_is_given_up_leaves_nobody_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_writer, "GATHER_SECONDS", 3600.0)
    writer = GroupWriter[int, int](database, apply, ignore)
    assert await writer.submit_many([1, 2, 3]) == [1, 2, 3]
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(writer.submit(4))
    for _ in range(10):
        await asyncio.sleep(0)
    [gathering] = asyncio.all_tasks() - before - {waiting}
    gathering.cancel()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(waiting, 20)
