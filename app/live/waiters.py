"""Waiters for changes of jobs. A waiter costs some memory and nothing else: no connection, no transaction, no query."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

from app.domain.errors import TooManyWaitsError
from app.domain.job import NO_VERSION, Job, JobRef, SeenVersion

MAX_OPEN: Final = 20_000
WOKEN_AT_ONCE: Final = 200
"""Waiters for one job that are woken before others may use the event loop: about 20 ms of answers."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a watch was woken: by the feed or by the sweep, and when this process received the change."""

    source: Literal["notify", "sweep"]
    at: float


class Watch:
    """One caller's watch over some jobs. Enter it before the first read, or a change in between is missed."""

    __slots__ = ("_changed", "_news", "_registry", "_stale", "_woken", "cause", "seen")

    def __init__(self, registry: "Waiters", keys: Collection[JobRef]) -> None:
        self._registry = registry
        self._woken = False
        self._stale = False
        self._news: list[Job] | None = None
        self._changed: asyncio.Future[None] | None = None
        self.cause: Cause | None = None
        """What woke it last."""
        self.seen: dict[JobRef, int] = dict.fromkeys(keys, 0)
        """The version of each job that the caller has last read; the sweep wakes it when the database has another."""

    def __enter__(self) -> Self:
        self._registry.add(self)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._registry.remove(self)

    def drop(self, key: JobRef) -> None:
        """Stop watching one job, because it has ended and cannot change."""
        if key in self.seen:
            self._registry.forget(self, key)
            del self.seen[key]

    def wake(self, cause: "Cause | None" = None, job: Job | None = None) -> None:
        """Wake the caller: something may have changed; `job` is how it is now, where that is known."""
        if not self._woken:
            self.cause = cause
        self._woken = True
        if job is None:
            self._stale = True
        elif self._news is None:
            self._news = [job]
        else:
            self._news.append(job)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def news(self) -> list[Job] | None:
        """Return the jobs that the wake-ups since the last call brought along, in their order; None if one of them
        brought none, so that the jobs have to be read.
        """
        news, stale = self._news, self._stale
        self._news, self._stale = None, False
        return None if stale else news or []

    async def changed(self, timeout_seconds: float | None) -> bool:
        """Wait for a wake-up since the last call; False if the time is over or the service is draining."""
        if not self._woken and not self._registry.draining and (timeout_seconds is None or timeout_seconds > 0):
            loop = asyncio.get_running_loop()
            self._changed = loop.create_future()
            # A bare timer and a future: `asyncio.timeout` costs three times the memory, times ten thousand waiters.
            timer = None if timeout_seconds is None else loop.call_later(timeout_seconds, self._expire, self._changed)
            try:
                await self._changed
            finally:
                self._changed = None
                if timer is not None:
                    timer.cancel()
        woken, self._woken = self._woken, False
        return woken and not self._registry.draining

    @staticmethod
    def _expire(future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_result(None)


class _Watched:
    """A job with the watches over it."""

    __slots__ = ("is_waking", "seen", "watches")

    def __init__(self, key: JobRef) -> None:
        self.seen = SeenVersion(key)
        self.watches: set[Watch] = set()
        self.is_waking = False
        """Whether some of them are still to be woken: the sweep leaves those to it."""


class Waiters:
    """All watches of this process, by job; at most `max_open` at a time, so that a flood of them cannot fill memory."""

    def __init__(self, *, max_open: int = MAX_OPEN) -> None:
        self._max_open = max_open
        self._by_job: dict[JobRef, _Watched] = {}
        self._watches: set[Watch] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._watches)

    def watch(self, keys: Collection[JobRef]) -> Watch:
        """Return a watch over some jobs, which is registered while it is entered. Raises TooManyWaitsError."""
        if len(self._watches) >= self._max_open:
            raise TooManyWaitsError(f"This process holds {self._max_open} waits open, which is the most it may.")
        return Watch(self, keys)

    def add(self, watch: Watch) -> None:
        """Register a watch."""
        self._watches.add(watch)
        for key in watch.seen:
            watched = self._by_job.get(key)
            if watched is None:
                watched = self._by_job[key] = _Watched(key)
            watched.watches.add(watch)

    def remove(self, watch: Watch) -> None:
        """Forget a watch altogether."""
        self._watches.discard(watch)
        for key in watch.seen:
            self.forget(watch, key)

    def forget(self, watch: Watch, key: JobRef) -> None:
        """Forget one job of a watch."""
        watched = self._by_job.get(key)
        if watched is not None:
            watched.watches.discard(watch)
            if not watched.watches:
                del self._by_job[key]

    def watched(self) -> list[JobRef]:
        """Return the jobs that are watched."""
        return list(self._by_job)

    def wake(self, changes: Mapping[JobRef, Job | None]) -> None:
        """Wake the watches over these jobs; a job that comes along spares them a read."""
        cause = Cause("notify", monotonic())
        for key, job in changes.items():
            watched = self._by_job.get(key)
            if watched is not None:
                self._wake_all(watched, tuple(watched.watches), cause, job)

    def _wake_all(self, watched: _Watched, watches: tuple[Watch, ...], cause: Cause, job: Job | None) -> None:
        """Wake many waiters in slices: each of them answers at once, and others must get the event loop in between."""
        for watch in watches[:WOKEN_AT_ONCE]:
            watch.wake(cause, job)
        rest = watches[WOKEN_AT_ONCE:]
        watched.is_waking = bool(rest)
        if rest:
            asyncio.get_running_loop().call_soon(self._wake_all, watched, rest, cause, job)

    def seen_versions(self) -> Iterator[SeenVersion]:
        """Yield the watched jobs, each with the version that all its watches have seen."""
        for watched in tuple(self._by_job.values()):
            if watched.is_waking:
                continue
            version = watched.seen
            seen = [watch.seen.get(version.ref, 0) for watch in watched.watches]
            # If they differ, any version is new to some of them, so one must be reported.
            version.version = seen[0] if seen and seen.count(seen[0]) == len(seen) else NO_VERSION
            yield version

    def wake_outdated(self, versions: Mapping[JobRef, int | None]) -> int:
        """Wake the watches that have not seen these versions, None for a job that is gone; the number of them says what
        the feed had missed.
        """
        cause, late = Cause("sweep", monotonic()), 0
        for key, version in versions.items():
            watched = self._by_job.get(key)
            if watched is None or watched.is_waking:
                continue
            outdated = tuple(watch for watch in watched.watches if watch.seen.get(key) != (version or 0))
            self._wake_all(watched, outdated, cause, None)
            late += len(outdated)
        return late

    def drain(self) -> None:
        """End every wait now and refuse new ones: the process is shutting down."""
        self.draining = True
        for watch in tuple(self._watches):
            watch.wake()
