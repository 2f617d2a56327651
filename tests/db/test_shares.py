"""Shares of the pool: who waits for whom, and what a unit is told that waits in vain."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from app.db import deadlines, engine
from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.db.shares import LEAST_CONNECTIONS, Lane, Shares
from app.domain.errors import BusyError
from tests import sql

ONE, TWO, THREE = uuid4(), uuid4(), uuid4()
LONG = 60.0
View = Callable[[Database, UUID], Database]
LANES: dict[str, View] = {"slow": Database.slow, "short": Database.short}


async def spin() -> None:
    """Run every task that can run."""
    for _ in range(10):
        await asyncio.sleep(0)


class Line:
    """Units that entered a lane, in the order in which they did."""

    def __init__(self, places: int) -> None:
        self.lane = Lane(places)
        self.entered: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, *names: str, seconds: float = LONG) -> None:
        projects = {"a": ONE, "b": TWO, "c": THREE}

        async def enter(name: str) -> None:
            await self.lane.enter(projects[name[0]], seconds)
            self.entered.append(name)

        for name in names:
            self.tasks[name] = asyncio.create_task(enter(name))
        await spin()

    async def leave(self, *projects: UUID) -> None:
        for project_id in projects:
            self.lane.leave(project_id)
        await spin()

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_no_project_takes_the_last_place_and_projects_take_turns() -> None:
    line = Line(3)
    await line.come("a1", "a2", "a3", "a4")
    assert line.entered == ["a1", "a2"]
    await line.come("b1", "b2", "c1", "b3")
    assert line.entered == ["a1", "a2", "b1"]
    await line.leave(ONE)
    assert line.entered[3:] == ["a3"], "the longest wait of a project that has a place left"
    await line.leave(ONE, ONE, TWO)
    assert line.entered[4:] == ["b2", "c1", "a4"], "one of each project, however many wait"
    await line.end()


async def test_a_wait_that_is_given_up_takes_no_place_not_even_one_just_handed_to_it() -> None:
    line = Line(1)
    await line.come("a1", "a2", "b1")
    line.tasks["b1"].cancel()
    await spin()
    await line.come("c1")
    line.lane.leave(ONE)
    line.tasks["a2"].cancel()
    await spin()
    assert line.entered == ["a1", "c1"]
    await line.leave(THREE)
    await line.come("b2")
    assert line.entered == ["a1", "c1", "b2"]
    await line.end()


async def test_a_wait_in_vain_is_busy_and_takes_no_place_later() -> None:
    lane = Lane(1)
    await lane.enter(ONE, LONG)
    with pytest.raises(BusyError):
        await lane.enter(TWO, 0.01)
    lane.leave(ONE)
    await lane.enter(ONE, 0)


@pytest.mark.parametrize("connections", [LEAST_CONNECTIONS, 5, 7, 10, 64, 100])
async def test_the_lanes_leave_connections_to_the_rest(connections: int) -> None:
    shares = Shares(connections)
    taken = 0
    for make in (shares.slow, shares.short):
        with contextlib.suppress(BusyError):
            while True:
                await make(uuid4()).enter(0)
                taken += 1
    assert 2 <= taken <= connections - 2


class Held:
    """Units of one view that hold their connections until the test lets go."""

    def __init__(self) -> None:
        self.running = 0
        self._go = asyncio.Event()
        self._tasks: list[asyncio.Task[object]] = []

    async def fill(self, view: Database, units: int, running: int) -> None:
        """Begin units, more than their share, and wait for as many as it lets run."""
        self._tasks += [asyncio.create_task(view.read(self._work)) for _ in range(units)]
        async with asyncio.timeout(10):
            while self.running < running:
                await asyncio.sleep(0)
        await spin()
        assert self.running == running

    async def _work(self, connection: Connection) -> None:
        self.running += 1
        await self._go.wait()
        await sql.execute(connection, "SELECT 1")

    async def end(self) -> None:
        self._go.set()
        await asyncio.gather(*self._tasks)


async def answer(connection: Connection) -> int:
    return int(await sql.fetch_value(connection, "SELECT 1"))


@pytest.mark.parametrize("lane", LANES)
async def test_a_full_lane_holds_up_neither_the_other_one_nor_the_rest_nor_another_project(
    database_url: str, lane: str
) -> None:
    waits: list[tuple[str, bool]] = []
    database = Database(
        make_engine(database_url, pool_size=10), on_wait=lambda work, within, _: waits.append((work, within))
    )
    view = LANES[lane](database, ONE)
    other_lane = LANES["short" if lane == "slow" else "slow"]
    held = Held()
    await held.fill(view, 30, 3 if lane == "slow" else 2)
    async with asyncio.timeout(10):
        assert [await unit(answer) for unit in (database.read, database.write, database.write_at_once)] == [1, 1, 1]
        assert await other_lane(database, ONE).read(answer) == 1
        assert await LANES[lane](database, TWO).write(answer) == 1
        assert await LANES[lane](database, TWO).write_at_once(answer) == 1
    assert all(within for _, within in waits)
    other_name = "short" if lane == "slow" else "slow"
    assert [work for work, _ in waits[-6:]] == ["gathered"] * 3 + [other_name, lane, lane]
    await held.end()
    assert waits.count((lane, False)) == 30 - (3 if lane == "slow" else 2), "those that were over their share say so"
    await database.close()


async def test_units_that_wait_for_their_turn_are_busy_in_time_and_the_database_is_not_called_away(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "PART_FOR_A_PLACE", 0.01)
    database = Database(make_engine(database_url, pool_size=10))
    held = Held()
    await held.fill(database.slow(ONE), 3, 3)
    for unit in (database.slow(ONE).read, database.slow(ONE).write_at_once):
        with pytest.raises(BusyError):
            await unit(answer)
    assert await database.slow(TWO).read(answer) == 1
    await held.end()
    assert await database.slow(ONE).read(answer) == 1
    await database.close()


async def test_an_empty_pool_is_busy(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "POOL_TIMEOUT_SECONDS", 0.01)
    database = Database(make_engine(database_url, pool_size=1))
    async with database.connection():
        for call in (database.read, database.write, database.write_at_once):
            with pytest.raises(BusyError):
                await call(answer)
    assert await database.read(answer) == 1
    await database.close()


async def test_a_wait_for_a_lock_is_repeated_once_and_is_busy(database: Database) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await sql.execute(connection, "SET LOCAL lock_timeout = '10ms'")
        await sql.execute(connection, "LOCK TABLE queues")

    async with database.transaction() as holder:
        await sql.execute(holder, "LOCK TABLE queues")
        with pytest.raises(BusyError):
            await database.write(work)
    assert tries == 2
    await database.write(work)


async def test_a_caller_that_leaves_before_its_turn_costs_the_database_nothing(database: Database) -> None:
    view = database.slow(ONE)
    held = Held()
    await held.fill(view, 2, 2)
    ran: list[int] = []

    async def work(connection: Connection) -> None:
        ran.append(await answer(connection))

    calls: list[Awaitable[None]] = []
    for _ in range(5):
        call = asyncio.create_task(view.write(work))
        await spin()
        call.cancel()
        calls.append(call)
    await asyncio.gather(*calls, return_exceptions=True)
    await held.end()
    await view.write(work)
    assert ran == [1]
