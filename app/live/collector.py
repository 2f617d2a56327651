"""When the process looks for garbage that reference counts cannot free: cycles, which the interpreter calls collecting.

A full collection walks every object that could be in a cycle, and nothing else runs meanwhile. An open wait and its
connection are 130 of them, so that with ten thousand waits the event loop stood still for 0.3 to 1.0 s each time, and
by the interpreter's own thresholds a busy process came to that every few seconds. Here the time is chosen:

- What a collection leaves is alive, and is frozen: later ones pass over it and cost what was made since. They come so
  often that this is little, some milliseconds. Freezing needs the collection before it, or garbage would be kept.
- What is frozen and becomes a cycle later is found only by a *whole* collection, which walks all there is. Requests
  leave next to none (tests/web/test_garbage.py), so that it waits until the memory says that something has gathered:
  soon where the process is idle, late where it is not.
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
"""Net new objects before the interpreter collects the youngest by itself, and how many such collections before it does
an older generation: a batch is some ten thousand objects, and the older ones are ours to time.
"""
LOOK_SECONDS: Final = 0.25
IDLE_LOOK_SECONDS: Final = 1.0
"""A look that finds nothing takes 0.1 ms, for the processor must fetch what it counts, and an idle process is to use
some thousandths of a core.
"""
NEW_OBJECTS: Final = 10_000
"""Not frozen yet, which call for a collection: 4 to 8 ms. The interpreter's count does not tell, for it is net: ten
thousand waits that set their timers anew make as many objects as they drop, and a quarter of a million had gathered.
"""
IDLE_SECONDS: Final = 2.0
"""Without a request or a connection that begins or ends: whatever else is in flight waits."""
IDLE_CONNECTIONS: Final = 500
"""With more of them nobody calls it idle: a whole collection would take 0.2 s or more."""
IDLE_GROWTH: Final = 100_000
"""Blocks of memory, some 10 MB, since the last whole collection that are worth a pause of 0.1 s where nobody is there.
"""
BUSY_GROWTH: Final = 1_000_000
"""Blocks, some 100 MB, that are worth it whatever goes on, be it a second with ten thousand waits: a process that is
never idle must not grow for ever.
"""
WAIT_BLOCKS: Final = 230
"""What a request in flight holds, roughly (measured: 226 for a wait): ten thousand more of them are no garbage."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the clients of a process do."""

    connections: int
    in_flight: int
    """Requests that have begun and not ended; most of them wait."""
    answered: int
    """Requests that were answered since the start."""


def new_objects() -> int:
    """Count what a collection would walk: 10,000 objects take 0.2 ms."""
    return sum(len(gc.get_objects(generation)) for generation in range(3))


class Collector(Loop):
    """Collects when there is something new, and everything when the process is idle or has grown."""

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
        self._moved_at = 0.0
        """When something last began or ended, as far as was seen."""
        self.idle = True
        """Whether nothing has begun or ended for a while."""
        self._own_blocks = 0
        """What was allocated after the last whole collection, less what requests in flight held."""

    async def start(self) -> None:
        """Take over from the thresholds of the interpreter. What start-up has made stays as long as the process, a
        hundred and seventy thousand objects, and is frozen first.
        """
        if self._noted not in gc.callbacks:
            self._thresholds = gc.get_threshold()
            gc.set_threshold(*THRESHOLDS)
            self._seen, self._moved_at = self._activity(), self._clock()
            self._collect_all()
            # From now on: the first stops nobody, for nobody is served yet.
            gc.callbacks.append(self._noted)
        await super().start()

    async def stop(self) -> None:
        """Restore the interpreter's thresholds. What is frozen stays so: a process that ends need not walk it again."""
        await super().stop()
        if self._noted in gc.callbacks:
            gc.callbacks.remove(self._noted)
            gc.set_threshold(*self._thresholds)
            self._tell()

    async def run_once(self) -> None:
        """Wait a moment, then look."""
        await asyncio.sleep(IDLE_LOOK_SECONDS if self.idle else LOOK_SECONDS)
        self.look()

    def look(self) -> None:
        """Collect if it is time to."""
        now, seen, was_idle = self._clock(), self._activity(), self.idle
        if seen != self._seen:
            self._seen, self._moved_at = seen, now
        self.idle = now - self._moved_at >= IDLE_SECONDS
        if self._new() >= NEW_OBJECTS or (self.idle and not was_idle):
            self._collect_new()
            # Only now, for counting blocks takes 0.2 to 2 ms; and what is not frozen is not for a whole collection.
            deserted = self.idle and seen.connections <= IDLE_CONNECTIONS
            if self._blocks() - self._own_blocks >= (IDLE_GROWTH if deserted else BUSY_GROWTH):
                self._collect_all()
        self._tell()

    def _blocks(self) -> int:
        """What is allocated, less what requests in flight hold."""
        return self._allocated() - self._seen.in_flight * WAIT_BLOCKS

    def _collect_new(self) -> None:
        """Collect among what was made since the last time."""
        gc.collect()
        gc.freeze()

    def _collect_all(self) -> None:
        """Collect among all there is."""
        gc.unfreeze()
        self._collect_new()
        self._own_blocks = self._blocks()

    def _noted(self, phase: str, info: dict[str, Any]) -> None:
        """Time a collection, whoever began it. It is only noted: one can begin wherever an object is made, and the lock
        of the histogram may be held just there.
        """
        if phase == "start":
            self._began = perf_counter()
        else:
            self._pauses.append((info["generation"], perf_counter() - self._began))

    def _tell(self) -> None:
        while self._pauses:
            self._observe(*self._pauses.popleft())
