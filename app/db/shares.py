"""Shares of the pool: no kind of work and no project takes all of its connections.

What is gathered (reads by id, workers' calls, creations, look-ups of keys) needs one connection a kind, whoever sends
how much of it; full batches of new jobs two, where the pool has room. What one request does alone is in a lane with a
bounded number of places, so that the connections outside of the lanes are always there for the rest. The projects of a
lane take turns, and none has all of its places: one in excess waits for itself.

A unit waits here before it has a connection and before it has begun. A caller that leaves gives up its place in the
line, and costs the database nothing.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.domain.errors import BusyError

SLOW_PART: Final = 0.4
SHORT_PART: Final = 0.3
LEAST_CONNECTIONS: Final = 4
"""With fewer, the lanes could take all of the pool: each has one place at least."""
ROOM_FOR_TWO: Final = 8
"""From so many connections on a kind that is gathered may have two: three are left to the other kinds."""


class Lane:
    """Places for one kind of work: so many at a time, one less for any one project, and projects take turns."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._each = max(places - 1, 1)
        self._held: dict[UUID | None, int] = {}
        self._waiting: dict[UUID | None, deque[asyncio.Event]] = {}
        """By project, in the order of their turns."""

    def is_within_share(self, project_id: UUID | None) -> bool:
        """Whether the project has a place left, if not at once then at its next turn."""
        return self._held.get(project_id, 0) < self._each and project_id not in self._waiting

    async def enter(self, project_id: UUID | None, seconds: float) -> None:
        """Take a place, which `leave` frees; raises BusyError if there is none in time."""
        if self._free and self.is_within_share(project_id):
            self._take(project_id)
            return
        turn = asyncio.Event()
        self._waiting.setdefault(project_id, deque()).append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn.wait()
        except BaseException as error:
            if turn.is_set():
                # It was handed out in the same moment.
                self.leave(project_id)
            else:
                self._withdraw(project_id, turn)
            if isinstance(error, TimeoutError):
                raise BusyError("Other calls keep the database busy; nothing was changed.") from None
            raise

    def leave(self, project_id: UUID | None) -> None:
        """Free a place, for the project whose turn it is."""
        self._free += 1
        self._held[project_id] -= 1
        if not self._held[project_id]:
            del self._held[project_id]
        for next_id, line in self._waiting.items():
            if self._held.get(next_id, 0) < self._each:
                del self._waiting[next_id]
                line.popleft().set()
                self._take(next_id)
                if line:
                    self._waiting[next_id] = line
                return

    def _take(self, project_id: UUID | None) -> None:
        self._free -= 1
        self._held[project_id] = self._held.get(project_id, 0) + 1

    def _withdraw(self, project_id: UUID | None, waiter: asyncio.Event) -> None:
        line = self._waiting[project_id]
        line.remove(waiter)
        if not line:
            del self._waiting[project_id]


@dataclass(frozen=True, slots=True)
class Share:
    """What a view of the database does its units under: a kind of work, its lane if it has one, and the project."""

    work: str
    lane: Lane | None = None
    project_id: UUID | None = None

    def is_within(self) -> bool:
        """Whether a unit that comes now is within the share."""
        return self.lane is None or self.lane.is_within_share(self.project_id)

    async def enter(self, seconds: float) -> None:
        """Wait for a place."""
        if self.lane is not None:
            await self.lane.enter(self.project_id, seconds)

    def leave(self) -> None:
        """Free the place."""
        if self.lane is not None:
            self.lane.leave(self.project_id)


GATHERED: Final = Share("gathered")
"""Units of which there is one at a time of each kind, or two, whoever waits for it."""


class Shares:
    """The lanes of one pool."""

    def __init__(self, connections: int) -> None:
        self._slow = Lane(max(int(connections * SLOW_PART), 1))
        self._short = Lane(max(int(connections * SHORT_PART), 1))

    def slow(self, project_id: UUID | None) -> Share:
        """Return a project's share for what may take long or waits for locks; None is the service itself."""
        return Share("slow", self._slow, project_id)

    def short(self, project_id: UUID) -> Share:
        """Return a project's share for claims and the like, which no slow unit may hold up."""
        return Share("short", self._short, project_id)
