"""The feed of events, read once for all subscribers: one query a round for the whole process, none without subscribers.

A subscriber's buffer is bounded: one that reads too slowly is dropped with an error, and the others never wait for it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final
from uuid import UUID

from app.db import events
from app.db.engine import Database
from app.domain.event import JobEventRecord, Position
from app.domain.job import JobRef
from app.live.loop import Loop

SWEEP_SECONDS: Final = 1.0
PAGE: Final = 500
MAX_BUFFERED: Final = 2_000


class Subscription:
    """One follower of a project's events, from a position on."""

    def __init__(self, project_id: UUID, max_buffered: int) -> None:
        self.project_id = project_id
        self.overflowed = False
        self._max_buffered = max_buffered
        self._buffer: deque[JobEventRecord] = deque()
        self._some = asyncio.Event()
        self.closed = False

    def push(self, event: JobEventRecord) -> None:
        """Add an event to the buffer; never waits."""
        if len(self._buffer) >= self._max_buffered:
            self.overflowed = True
            self._buffer.clear()
        if not self.overflowed:
            self._buffer.append(event)
        self._some.set()

    def close(self) -> None:
        """End the follower's iteration."""
        self.closed = True
        self._some.set()

    async def events(self) -> AsyncIterator[JobEventRecord]:
        """Yield events as they come; ends when the subscription was closed or has overflowed."""
        while True:
            while self._buffer and not self.overflowed:
                yield self._buffer.popleft()
            if self.closed or self.overflowed:
                return
            self._some.clear()
            await self._some.wait()


class EventStream(Loop):
    """Reads the feed of every project that has subscribers, and distributes it."""

    def __init__(self, database: Database, *, max_buffered: int = MAX_BUFFERED) -> None:
        super().__init__("event stream")
        self._database = database
        self._max_buffered = max_buffered
        self._followers: dict[UUID, set[Subscription]] = {}
        self._reached: dict[UUID, Position] = {}
        self._woken = asyncio.Event()
        self.draining = False

    def __len__(self) -> int:
        return sum(map(len, self._followers.values()))

    def changed(self, keys: Iterable[JobRef]) -> None:
        """Look at once: jobs of these projects changed."""
        if self._followers and any(project_id in self._followers for project_id, _ in keys):
            self._woken.set()

    @contextlib.asynccontextmanager
    async def follow(self, project_id: UUID) -> AsyncIterator[tuple[Subscription, Position]]:
        """Subscribe; yields the subscription and the position after which it receives every event."""
        if project_id not in self._reached:
            head = await self._database.slow(project_id).read(events.select_head)
            # Another subscriber may have come meanwhile; then its position counts, which is no later than this one's.
            self._reached.setdefault(project_id, head)
        subscription = Subscription(project_id, self._max_buffered)
        self._followers.setdefault(project_id, set()).add(subscription)
        if self.draining:
            subscription.close()
        try:
            yield subscription, self._reached[project_id]
        finally:
            followers = self._followers[project_id]
            followers.discard(subscription)
            if not followers:
                del self._followers[project_id]
                del self._reached[project_id]

    async def run_once(self) -> None:
        """Wait for a change or the next second, then read on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SWEEP_SECONDS):
                await self._woken.wait()
        self._woken.clear()
        while self._reached and await self._read_on():
            pass

    async def _read_on(self) -> bool:
        """Read one page for every project that is followed; returns whether there may be more."""
        after = dict(self._reached)
        page, ends = await self._database.read(events.select_feed, after, PAGE)
        for event in page:
            # A project that was left and followed again during this query has a position of its own, after these.
            if self._reached.get(event.project_id) == after[event.project_id]:
                for subscription in self._followers.get(event.project_id, ()):
                    subscription.push(event)
        for project_id, end in ends.items():
            if self._reached.get(project_id) == after[project_id]:
                self._reached[project_id] = end.position
        return any(end.rows >= PAGE for end in ends.values())

    def drain(self) -> None:
        """End every subscription now: the process is going down."""
        self.draining = True
        for subscription in self._all():
            subscription.close()

    def _all(self) -> Iterator[Subscription]:
        for followers in tuple(self._followers.values()):
            yield from tuple(followers)
