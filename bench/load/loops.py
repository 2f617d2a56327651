"""Open loop: requests leave by a timetable, whether or not the server keeps up. Closed loop: one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.connection import Answer, Connection, connect_many
from bench.load.generator import Channel, GeneratorError
from bench.result import quantile

_LAST_ANSWERS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Timetable:
    """When each request was due and when its answer was whole; NaN for one without an answer."""

    due: array[float]
    answered: array[float]
    statuses: array[int]

    def latencies(self, wanted: int = 200) -> list[float]:
        """Seconds from when each request was due. That counts the time it stood in line behind slow ones, which a
        client that waits for each answer would never see. Raises if any answer was another than wanted.
        """
        check(Counter(self.statuses), wanted)
        return [answered - due for due, answered in zip(self.due, self.answered, strict=True)]

    def milliseconds(self, share: float, wanted: int = 200) -> float:
        return quantile(self.latencies(wanted), share) * 1000


def check(statuses: Counter[int], wanted: int) -> None:
    """Refuse to measure wrong answers."""
    wrong = {status: count for status, count in statuses.items() if status != wanted}
    if wrong:
        said = ", ".join(f"{count} times {status or 'cut or unanswered'}" for status, count in sorted(wrong.items()))
        raise GeneratorError(f"of {statuses.total()} answers not all were {wanted}: {said}")


async def open_loop(
    channel: Channel | None,
    port: int,
    requests: Sequence[bytes],
    *,
    rate: float,
    count: int,
    connections: int = 64,
) -> Timetable:
    """Send `count` requests, `rate` a second, over whichever connection is idle; gives when each was answered."""
    del channel
    opened = await connect_many(port, connections)
    began = time.monotonic() + 0.01
    due = array("d", (began + n / rate for n in range(count)))
    line = _Line(opened, requests, count)
    n = 0
    while n < count:
        now = time.monotonic()
        while n < count and due[n] <= now:
            line.join(n)
            n += 1
        if n < count:
            await asyncio.sleep(max(due[n] - time.monotonic(), 0))
    # What is missing after that stays NaN with status 0, and is told.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(line.all_done.wait(), _LAST_ANSWERS_SECONDS)
    for connection in opened:
        connection.close()
    return Timetable(due, line.answered, line.statuses)


class _Line:
    """Requests that are due, and the connections that take them as soon as they are idle."""

    def __init__(self, connections: Sequence[Connection], requests: Sequence[bytes], count: int) -> None:
        # Each in its turn: the service cuts a connection that has sent nothing for ten seconds.
        self._idle = deque(connections)
        self._requests = requests
        self._in_line: deque[int] = deque()
        self._left = count
        self._uncut = len(connections)
        self.answered = array("d", [math.nan]) * count
        self.statuses = array("i", [0]) * count
        self.all_done = asyncio.Event()

    def join(self, n: int) -> None:
        """Send the request, or let it wait for a connection."""
        if self._idle:
            self._send(n, self._idle.popleft())
        else:
            self._in_line.append(n)

    def _send(self, n: int, connection: Connection) -> None:
        def done(answer: Answer) -> None:
            self.answered[n], self.statuses[n] = answer.at, answer.status
            self._left -= 1
            if self._left == 0:
                self.all_done.set()
            elif not answer.status:
                # Cut: another on this connection would be cut at once, and so on.
                self._uncut -= 1
                if not self._uncut:
                    self.all_done.set()
            elif self._in_line:
                self._send(self._in_line.popleft(), connection)
            else:
                self._idle.append(connection)

        connection.send(self._requests[n % len(self._requests)], done)


@dataclass(frozen=True, slots=True)
class Closed:
    """What a closed loop came to."""

    per_second: float
    latencies: array[float]
    """In seconds."""
    cpu: float
    """Processor time of the generator itself."""


async def closed_loop(
    channel: Channel | None,
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float = math.inf,
    count: int | None = None,
    wanted: int = 200,
) -> Closed:
    """Send the next request on each connection when the last one is answered, for a time or until `count` are."""
    del channel
    opened = await connect_many(port, connections)
    latencies = array("d")
    statuses: Counter[int] = Counter()
    began, used = time.monotonic(), time.process_time()
    end = began + seconds
    turn = 0

    async def work(connection: Connection) -> None:
        nonlocal turn
        while (sent := time.monotonic()) < end and (count is None or turn < count):
            request = requests[turn % len(requests)]
            turn += 1
            answer = await connection.call(request)
            statuses[answer.status] += 1
            latencies.append(answer.at - sent)
            if not answer.status:
                return

    await asyncio.gather(*(work(connection) for connection in opened))
    took = time.monotonic() - began
    used = time.process_time() - used
    for connection in opened:
        connection.close()
    check(statuses, wanted)
    return Closed(len(latencies) / took, latencies, used)
