"""Waiters for changes of jobs. A waiter costs some memory and nothing else: no connection, no transaction, no query."""

import asyncio
from array import array
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

from app.domain.job import NO_VERSION, Job, JobRef, SeenVersion

WOKEN_AT_ONCE: Final = 200
"""Waiters for one job that are woken before others may use the event loop: about 20 ms of answers."""
CROWD: Final = 1_000
"""Watches over one job beyond which they are a set: a list takes a third of the memory, and is searched to leave it."""
UNREAD: Final = 0
DROPPED: Final = -2
"""In the place of a version."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a watch was woken: by the feed or by the sweep, and when this process received the change."""

    source: Literal["notify", "sweep"]
    at: float


class Watch:
    """One caller's watch over some jobs. Enter it before the first read, or a change in between is missed.

    It keeps a version of each job, in the order of its keys, and nothing else: a thousand jobs are 30 KB.
    """

    __slots__ = ("_changed", "_jobs", "_keys", "_news", "_registry", "_stale", "_versions", "_woken", "cause")

    def __init__(self, registry: "Waiters", keys: Collection[JobRef]) -> None:
        self._registry = registry
        self._keys = keys
        self._jobs: list[WatchedJob] = []
        self._versions = array("q", bytes(8 * len(keys)))
        self._woken = False
        self._stale = False
        self._news: list[Job] | None = None
        self._changed: asyncio.Future[None] | None = None
        self.cause: Cause | None = None
        """What woke it last."""

    def __enter__(self) -> Self:
        self._jobs = self._registry.add(self, self._keys)
        # The jobs have equal ones, which they share with all that watch them.
        self._keys = ()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        for place, _version in self.live():
            self.drop(place)
        self._registry.remove(self)

    @property
    def is_resting(self) -> bool:
        """Whether the caller waits, and nothing has woken it."""
        return self._changed is not None and not self._changed.done()

    def refs(self) -> list[JobRef]:
        """Return the jobs in the order of the keys, with those that were dropped."""
        return [job.ref for job in self._jobs]

    def live(self) -> Iterator[tuple[int, JobRef]]:
        """Yield the jobs that are still watched, each with its place among the keys."""
        for place, job in enumerate(self._jobs):
            if self._versions[place] != DROPPED:
                yield place, job.ref

    def version(self, place: int) -> int:
        """Return the version of a job that the caller has last read."""
        return self._versions[place]

    def note(self, place: int, version: int) -> None:
        """Record the version of a job that the caller has read; the sweep wakes it when the database has another."""
        self._versions[place] = version
        self._jobs[place].note(version)

    def drop(self, place: int) -> None:
        """Stop watching one job, because it has ended and cannot change."""
        self._versions[place] = DROPPED
        self._registry.forget(self, self._jobs[place])

    def has_seen(self, job: "WatchedJob", version: int) -> bool:
        """Whether the caller has read this version of a job."""
        return self._versions[self._jobs.index(job)] == version

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


class WatchedJob(SeenVersion):
    """A job with the watches over it, and the version that all of them have read."""

    __slots__ = ("is_waking", "watches")

    def __init__(self, ref: JobRef) -> None:
        super().__init__(ref, UNREAD)
        self.watches: list[Watch] | set[Watch] = []
        self.is_waking = False
        """Whether some of them are still to be woken: the sweep leaves those to it."""

    def add(self, watch: Watch) -> None:
        """Add a watch."""
        if isinstance(self.watches, set):
            self.watches.add(watch)
            return
        self.watches.append(watch)
        if len(self.watches) > CROWD:
            self.watches = set(self.watches)

    def note(self, version: int) -> None:
        """Record what one of the watches has read. Where they differ any version is new to some of them, so that the
        sweep must be told of one; it sees then whether they still do.
        """
        if version != self.version:
            self.version = version if self.version == UNREAD or len(self.watches) == 1 else NO_VERSION


class Waiters:
    """All watches of this process, by job."""

    def __init__(self) -> None:
        self._by_job: dict[JobRef, WatchedJob] = {}
        self._watches: set[Watch] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._watches)

    def resting(self) -> int:
        """Return how many watches have nothing to do until they are woken."""
        return sum(watch.is_resting for watch in self._watches)

    def watch(self, keys: Collection[JobRef]) -> Watch:
        """Return a watch over some jobs, each once, which is registered while it is entered."""
        return Watch(self, keys)

    def add(self, watch: Watch, keys: Collection[JobRef]) -> list[WatchedJob]:
        """Register a watch; returns its jobs as all that watch them share them."""
        self._watches.add(watch)
        jobs = []
        for key in keys:
            watched = self._by_job.get(key)
            if watched is None:
                watched = self._by_job[key] = WatchedJob(key)
            watched.add(watch)
            jobs.append(watched)
        return jobs

    def remove(self, watch: Watch) -> None:
        """Forget a watch altogether."""
        self._watches.discard(watch)

    def forget(self, watch: Watch, job: WatchedJob) -> None:
        """Forget one job of a watch."""
        job.watches.remove(watch)
        if not job.watches:
            del self._by_job[job.ref]

    def wake(self, changes: Mapping[JobRef, Job | None]) -> None:
        """Wake the watches over these jobs; a job that comes along spares them a read."""
        cause = Cause("notify", monotonic())
        for key, job in changes.items():
            watched = self._by_job.get(key)
            if watched is not None:
                self._wake_all(watched, tuple(watched.watches), cause, job)

    def _wake_all(self, watched: WatchedJob, watches: tuple[Watch, ...], cause: Cause, job: Job | None) -> None:
        """Wake many waiters in slices: each of them answers at once, and others must get the event loop in between."""
        for watch in watches[:WOKEN_AT_ONCE]:
            watch.wake(cause, job)
        rest = watches[WOKEN_AT_ONCE:]
        watched.is_waking = bool(rest)
        if rest:
            asyncio.get_running_loop().call_soon(self._wake_all, watched, rest, cause, job)

    def seen_versions(self) -> Iterator[SeenVersion]:
        """Yield the watched jobs, each with the version that all its watches have seen."""
        yield from (watched for watched in tuple(self._by_job.values()) if not watched.is_waking)

    def wake_outdated(self, versions: Mapping[JobRef, int | None]) -> int:
        """Wake the watches that have not seen these versions, None for a job that is gone; the number of them says what
        the feed had missed.
        """
        cause, late = Cause("sweep", monotonic()), 0
        for key, version in versions.items():
            watched = self._by_job.get(key)
            if watched is None or watched.is_waking:
                continue
            current = version or UNREAD
            outdated = tuple(watch for watch in watched.watches if not watch.has_seen(watched, current))
            if not outdated:
                watched.version = current
            self._wake_all(watched, outdated, cause, None)
            late += len(outdated)
        return late

    def drain(self) -> None:
        """End every wait now and refuse new ones: the process is shutting down."""
        self.draining = True
        for watch in tuple(self._watches):
            watch.wake()
