"""Scheduling of the cyclic garbage collector, so that it does not stop the event loop at a bad time.

A full collection visits every object that could be part of a cycle, and nothing else runs meanwhile. An open wait and
its connection are 130 such objects: with ten thousand waits the event loop stood still for 0.3 to 1.0 s each time, and
with the interpreter's default thresholds a busy process did that every few seconds. Two kinds of collection replace it:

- A *small* one, four times a second, collects what is new and freezes what survives, so that later ones skip it: 15 µs
  where nothing is new, 1 to 5 ms with ten thousand waits. Nothing is asked beforehand, for to count what is new takes
  longer than to collect it (9 ms and 7). Objects are frozen only after a collection, or garbage would be kept.
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
"""Of a deserted process, which should use a few thousandths of a core."""
GROWTH_SECONDS: Final = 10.0
"""The least time between two looks at the memory. To count the blocks in use takes 5 to 40 ms with ten thousand waits,
and nothing else runs meanwhile: when it was done with every small collection, the p99 of other reads was 24 to 115 ms,
and is 13 to 22 now.
"""
IDLE_SECONDS: Final = 2.0
"""The process is idle if no request or connection has begun or ended for this long; requests in flight only wait."""
IDLE_CONNECTIONS: Final = 500
"""With more of them an idle process is not deserted: a whole collection would take 0.2 s or more."""
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


class Collector(Loop):
    """Runs small collections all the time, and a whole one when memory has grown."""

    def __init__(
        self,
        activity: Callable[[], Activity],
        observe: Callable[[int, float], None],
        *,
        allocated: Callable[[], int] = sys.getallocatedblocks,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__("collector")
        self._activity = activity
        self._observe = observe
        self._allocated = allocated
        self._clock = clock
        self._thresholds = gc.get_threshold()
        self._pauses: deque[tuple[int, float]] = deque()
        self._began = 0.0
        self._seen = Activity(0, 0, 0)
        self._active_at = 0.0
        """When a check last saw that a request or connection had begun or ended."""
        self.deserted = True
        """Whether there are few connections, and no request or connection has begun or ended for `IDLE_SECONDS`."""
        self._growth_at = 0.0
        """When memory was last looked at."""
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
        await asyncio.sleep(IDLE_CHECK_SECONDS if self.deserted else CHECK_SECONDS)
        self.check()

    def check(self) -> None:
        """Run a small collection, and a whole one if memory has grown."""
        now, seen, was_deserted = self._clock(), self._activity(), self.deserted
        if seen != self._seen:
            self._seen, self._active_at = seen, now
        self.deserted = now - self._active_at >= IDLE_SECONDS and seen.connections <= IDLE_CONNECTIONS
        self._collect_new()
        # Now that a small collection may already have freed what has grown; and at once when the last client has gone.
        if now - self._growth_at >= GROWTH_SECONDS or (self.deserted and not was_deserted):
            self._growth_at = now
            if self._blocks() - self._own_blocks >= (IDLE_GROWTH if self.deserted else BUSY_GROWTH):
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
