"""What the peers' programs share: commands come as lines of JSON, and each is answered with a line when it is done."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

POOL_SIZE = 10
"""Connections of a peer's pool; the service has as many for its work."""
CONCURRENCY = 100
"""Jobs that a worker holds at once: as many as the service's workers claim in a call."""
STARTED_APART_SECONDS = 0.05
HELD_SECONDS = (0.2, 1.2)
"""How long a job runs whose end is waited for: of any length, so that a poll finds it at any moment of its period."""


class Tally:
    """What the jobs that ran tell of themselves."""

    def __init__(self) -> None:
        self.done = 0
        self.due = -1
        self.reached = asyncio.Event()
        self.last = 0.0
        self.held: dict[int, float] = {}
        self.began: dict[int, float] = {}
        self.ended: dict[int, float] = {}

    async def run(self, n: int) -> None:
        """Be the job with a number: do nothing, or hold it for its time."""
        if n in self.held:
            self.began[n] = time.monotonic()
            await asyncio.sleep(self.held[n])
            self.ended[n] = time.monotonic()
        self.done += 1
        self.last = time.monotonic()
        if self.done == self.due:
            self.reached.set()

    def expect(self, count: int) -> None:
        """Count from here on, and tell when so many have run."""
        self.done, self.due = 0, count
        self.reached.clear()


class Peer(Protocol):
    """A library as its own documentation has it used."""

    package: ClassVar[str]
    tables: ClassVar[str]
    """Which hold its jobs: emptied between measurements."""
    pace: ClassVar[int]
    """More jobs a second than it works off."""

    async def open(self, url: str, tally: Tally) -> None: ...
    async def enqueue(self, n: int) -> Any: ...
    def working(self) -> AbstractAsyncContextManager[Any]: ...
    async def wait_for_end(self, handle: Any) -> None: ...


class Program:
    """Answers the benchmark's commands with one peer."""

    def __init__(self, peer: Peer, tally: Tally) -> None:
        self._peer = peer
        self._tally = tally
        self._worker = contextlib.AsyncExitStack()
        # Not every library can create many in one call.
        self._enqueue_many: Callable[[int], Awaitable[None]] | None = getattr(peer, "enqueue_many", None)

    async def enqueue(self, seconds: float, at_once: int) -> dict[str, Any]:
        """Create jobs one by one, so many at once."""
        return await self._for(seconds, at_once, lambda: self._peer.enqueue(-1), 1)

    async def enqueue_batches(self, seconds: float, size: int) -> dict[str, Any]:
        """Create jobs by many in a call."""
        many = self._enqueue_many
        if many is None:
            raise NotImplementedError
        return await self._for(seconds, 1, lambda: many(size), size)

    async def _for(self, seconds: float, at_once: int, call: Callable[[], Awaitable[Any]], jobs: int) -> dict[str, Any]:
        began, calls = time.monotonic(), 0

        async def repeat() -> None:
            nonlocal calls
            while time.monotonic() < began + seconds:
                await call()
                calls += 1

        await asyncio.gather(*(repeat() for _ in range(at_once)))
        return {"jobs": calls * jobs, "seconds": time.monotonic() - began}

    async def load(self, count: int) -> dict[str, Any]:
        """Create jobs to be worked off."""
        if self._enqueue_many:
            for _ in range(0, count, 1000):
                await self._enqueue_many(1000)
        else:
            for _ in range(0, count, 64):
                await asyncio.gather(*(self._peer.enqueue(-1) for _ in range(64)))
        self._tally.expect(count)
        return {}

    async def work(self, seconds: float) -> dict[str, Any]:
        """Work off what was loaded, or for a time."""
        began = time.monotonic()
        async with self._peer.working():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._tally.reached.wait(), seconds)
            done, last = self._tally.done, self._tally.last
        return {"jobs": done, "seconds": max(last - began, 0.001)}

    async def start(self) -> dict[str, Any]:
        """Run a worker until `stop`."""
        await self._worker.enter_async_context(self._peer.working())
        return {}

    async def stop(self) -> dict[str, Any]:
        """End the worker."""
        await self._worker.aclose()
        return {}

    async def wake(self, tries: int) -> dict[str, Any]:
        """Seconds from a creation to the job's first line, and from its last to when who waits for it knows."""
        tally, starts, ends = self._tally, [], []
        tally.began.clear()
        tally.held = {n: random.uniform(*HELD_SECONDS) for n in range(tries)}

        async def one(n: int) -> None:
            await asyncio.sleep(n * STARTED_APART_SECONDS)
            sent = time.monotonic()
            await self._peer.wait_for_end(await self._peer.enqueue(n))
            known = time.monotonic()
            starts.append(tally.began[n] - sent)
            ends.append(known - tally.ended[n])

        await asyncio.gather(*(one(n) for n in range(tries)))
        tally.held = {}
        return {"starts": starts, "ends": ends}


def main(peer: Peer, tally: Tally) -> None:
    """Report that the peer is up, and obey until the benchmark closes the pipe."""
    logging.disable(logging.CRITICAL)
    # Here, for the benchmark reads the numbers above in its own environment.
    import uvloop  # noqa: PLC0415

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_obey(peer, tally, sys.argv[1]))


async def _obey(peer: Peer, tally: Tally, url: str) -> None:
    await peer.open(url, tally)
    program = Program(peer, tally)
    version = importlib.metadata.version(peer.package)
    batches = hasattr(peer, "enqueue_many")
    _say({"version": version, "tables": peer.tables, "pace": peer.pace, "batches": batches})
    async for command in _commands():
        name, values = command.pop("do"), command
        try:
            _say(await getattr(program, name)(**values))
        except Exception as error:  # noqa: BLE001 - told to the benchmark, which raises it
            _say({"error": f"{type(error).__name__}: {error}"})
    await program.stop()


async def _commands() -> AsyncIterator[dict[str, Any]]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
