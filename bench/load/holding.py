"""Thousands of open waits in one process: each connection waits for a job, and for the next one when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bench.load.connection import Answer, Connection, connect_many
from bench.load.generator import Channel
from bench.load.loops import check

OPEN = "open"
OPENED_PER_SECOND = 500
"""How fast waits are begun: what a storm of thousands in one moment does to a service is another question."""
_WAVE = 10
_LAST_ANSWERS_SECONDS = 20.0
"""Polling that is more than its database can take is late by as much, and is to be measured all the same."""


@dataclass(frozen=True, slots=True)
class Held:
    """When each wait was answered, by its number; 0 for one that was still open at the end."""

    answered: array[float]
    bytes_read: int


async def hold(
    channel: Channel, port: int, requests: Sequence[bytes], *, at_once: int, repeat: bool = False, wanted: int = 200
) -> Held:
    """Keep `at_once` of the waits open, in their order, until told how many answers are due, and until those are here.
    With `repeat` the same wait begins again when it was answered: one whose time is over before the job has ended.
    """
    answered = array("d", [0.0]) * len(requests)
    statuses: Counter[int] = Counter()
    expected = -1
    all_there = asyncio.Event()
    bytes_read = 0
    turn = 0

    def begin(connection: Connection, n: int) -> None:
        connection.send(requests[n], lambda answer: done(connection, n, answer))

    def done(connection: Connection, n: int, answer: Answer) -> None:
        nonlocal bytes_read, turn
        answered[n] = answer.at
        statuses[answer.status] += 1
        if statuses.total() == expected:
            all_there.set()
        bytes_read += len(answer.body)
        if repeat and answer.status == wanted:
            begin(connection, n)
        # On one that was cut another would be cut at once, and so on.
        elif answer.status and turn < len(requests):
            turn += 1
            begin(connection, turn - 1)

    connections: list[Connection] = []
    async for connection in _opened(port, at_once):
        connections.append(connection)
        if turn < len(requests):
            turn += 1
            begin(connection, turn - 1)
    channel.send(OPEN)
    expected = await channel.receive()
    if statuses.total() < expected:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(all_there.wait(), _LAST_ANSWERS_SECONDS)
    for connection in connections:
        connection.close()
    check(statuses, wanted)
    return Held(answered, bytes_read)


async def _opened(port: int, count: int) -> AsyncIterator[Connection]:
    """Connect as fast as waits are begun: the service cuts a connection that sends nothing for ten seconds."""
    for opened in range(0, count, _WAVE):
        for connection in await connect_many(port, min(_WAVE, count - opened)):
            yield connection
        await asyncio.sleep(_WAVE / OPENED_PER_SECOND)
