"""Scheduling of the cyclic garbage collector, so that it does not stop the event loop at a bad time.

A full collection visits every object that could be part of a cycle, and nothing else runs meanwhile. An open wait and
its connection are 130 such objects: with ten thousand waits the event loop stood still for 0.3 to 1.0 s each time, and
with the interpreter's default thresholds a busy process did that every few seconds. Two kinds of collection replace it:

- A *small* one collects what is new and freezes what survives, so that later ones skip it. They run so often that each
  takes a few milliseconds. Objects are frozen only after a collection, or garbage would be kept.
- A *whole* one visits everything, and alone finds cycles among frozen objects. Requests leave next to none
  (tests/web/test_garbage.py), so it waits until memory has grown: by little if the process is idle, by much if not.
"""

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any, Final

from app.live.loop import Loop

THRESHOLDS: Final = (20_000, 1_000, 1_000)
"""The interpreter's own thresholds while this runs. A batch is about ten thousand objects, so a collection of the
youngest generation by the interpreter is rare, and one of an older generation rarer by a thousand times.
"""
CHECK_SECONDS: Final = 0.25
IDLE_CHECK_SECONDS: Final = 1.0
"""A check that finds nothing takes 0.1 ms, because it fetches what it counts into the processor's cache, and an idle
process should use a few thousandths of a core.
"""
NEW_OBJECTS: Final = 10_000
"""Objects not frozen yet that are worth a small collection: 4 to 8 ms. The interpreter's own counter does not show
them, because it is net: ten thousand waits that renew their timers create as many objects as they free, and a quarter
of a million had accumulated.
"""
IDLE_SECONDS: Final = 2.0
"""The process is idle if no request or connection has begun or ended for this long; requests in flight only wait."""
IDLE_CONNECTIONS: Final = 500
"""With more of them it does not count as idle: a whole collection would take 0.2 s or more."""
IDLE_GROWTH: Final = 100_000
"""Growth since the last whole collection that is worth a pause of 0.1 s in an idle process: blocks, about 10 MB."""
BUSY_GROWTH: Final = 1_000_000
"""Growth that is worth the pause under any load, even a second with ten thousand waits: blocks, about 100 MB. A process
that is never idle must not grow for ever.
"""
WAIT_BLOCKS: Final = 230
"""Blocks that a request in flight holds, roughly (measured: 226 for a wait). They are not counted as growth."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Load of the process by its clients."""

    connections: int
    in_flight: int
    """Requests that have begun and not ended; most of them wait."""
    answered: int
    """Requests that were answered since the start."""


def new_objects() -> int:
    """Count the objects that a small collection would visit: 10,000 take 0.2 ms."""
    return sum(len(gc.get_objects(generation)) for generation in range(3))


class Collector(Loop):
    """Runs a small collection when objects have accumulated, and a whole one when memory has grown."""

    def __init__(
        self,
        activity: Callable[[], Activity],
        observe: Callable[[int, float], None],
        *,
        new: Callable[[], int] = new_objects,
        allocated: Callable[[], int] = sys.getallocatedblocks,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__("collector")
        self._activity = activity
        self._observe = observe
        self._new = new
        self._allocated = allocated
        self._clock = clock
        self._thresholds = gc.get_threshold()
        self._pauses: deque[tuple[int, float]] = deque()
        self._began = 0.0
        self._seen = Activity(0, 0, 0)
        self._active_at = 0.0
        """When a check last saw that a request or connection had begun or ended."""
        self.idle = True
        """Whether no request or connection has begun or ended for `IDLE_SECONDS`."""
        self._own_blocks = 0
        """Blocks allocated after the last whole collection, without those of requests in flight."""

    async def start(self) -> None:
        """Replace the interpreter's thresholds, and freeze the objects of start-up: 170,000, which are never freed."""
        if self._on_collection not in gc.callbacks:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(*THRESHOLDS)
            self._seen, self._active_at = self._activity(), self._clock()
            self._collect_all()
            # Only now: the first collection delays no client, because none is served yet.
            gc.callbacks.append(self._on_collection)
        await super().start()

    async def stop(self) -> None:
        """Restore the interpreter's thresholds. Objects stay frozen: a process that ends need not visit them again."""
        await super().stop()
        if self._on_collection in gc.callbacks:
            gc.callbacks.remove(self._on_collection)
            gc.set_threshold(*self._thresholds)
            self._report_pauses()

    async def run_once(self) -> None:
        """Wait until the next check is due, then check."""
        await asyncio.sleep(IDLE_CHECK_SECONDS if self.idle else CHECK_SECONDS)
        self.check()

    def check(self) -> None:
        """Collect if a collection is due."""
        now, seen, was_idle = self._clock(), self._activity(), self.idle
        if seen != self._seen:
            self._seen, self._active_at = seen, now
        self.idle = now - self._active_at >= IDLE_SECONDS
        if self._new() >= NEW_OBJECTS or (self.idle and not was_idle):
            self._collect_new()
            # Only here: counting blocks takes 0.2 to 2 ms, and a small collection may already free what has grown.
            unused = self.idle and seen.connections <= IDLE_CONNECTIONS
            if self._blocks() - self._own_blocks >= (IDLE_GROWTH if unused else BUSY_GROWTH):
                self._collect_all()
        self._report_pauses()

    def _blocks(self) -> int:
        """Return the blocks allocated, without those of requests in flight."""
        return self._allocated() - self._seen.in_flight * WAIT_BLOCKS

    def _collect_new(self) -> None:
        """Run a small collection: of the objects created since the last one."""
        gc.collect()
        gc.freeze()

    def _collect_all(self) -> None:
        """Run a whole collection."""
        gc.unfreeze()
        self._collect_new()
        self._own_blocks = self._blocks()

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        """Time a collection, also one that the interpreter began.

        The time is only stored here: a collection can begin wherever an object is created, even where the histogram's
        lock is held.
        """
        if phase == "start":
            self._began = perf_counter()
        else:
            self._pauses.append((info["generation"], perf_counter() - self._began))

    def _report_pauses(self) -> None:
        """Pass on the times of the collections since the last call."""
        while self._pauses:
            self._observe(*self._pauses.popleft())
