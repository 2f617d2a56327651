"""A cache of job bodies: each is rendered once per version and shared by all who read that version.

A rendered body is valid as long as the job's version is unchanged, so serving it again only requires checking the
version, which is far cheaper than reading the row. A terminal job never changes; it is still rechecked now and then,
because a deletion notification may have been lost. The feed normally reports a deletion at once; otherwise
`FRESH_SECONDS` bounds how long a deleted job can still be served. `Revalidator` rechecks what is read often, so that
no reader has to wait for it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from app.db import jobs
from app.db.engine import Database
from app.domain.job import Job, JobRef, SeenVersion
from app.live.read_batcher import ReadBatcher

FRESH_SECONDS: Final = 1.0
"""How long a terminal job's body is served without checking its version again."""
REVALIDATE_SECONDS: Final = 0.4
"""Well below that, so that bodies that are read often are always fresh."""
CHECKS_A_USE: Final = 5
"""How many checks a body gets after it was read: with ten thousand of them each is checked again within two seconds."""
CHECK_SLICE: Final = 1_000
"""Jobs that one check asks about at a time: the event loop is held for a millisecond."""
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
"""A larger body is rendered each time: a few of them would push out all others."""
_ENTRY_BYTES: Final = 800
"""What an entry costs beside its body, roughly."""


class CachedBody:
    """A job's body at one version."""

    __slots__ = ("body", "checks_left", "fresh_until", "seen", "terminal")

    def __init__(self, ref: JobRef, version: int, body: bytes, *, terminal: bool) -> None:
        self.seen = SeenVersion(ref, version)
        self.body = body
        self.terminal = terminal
        self.fresh_until = 0.0
        """By the event loop's clock; until then it is served without a check."""
        self.checks_left = 0
        """How many more times the revalidator checks it without a reader in between."""

    @property
    def version(self) -> int:
        """The version that this is the body of."""
        return self.seen.version


class BodyCache:
    """The bodies of one kind, as one function renders them."""

    def __init__(
        self,
        jobs: ReadBatcher[JobRef, Job],
        changes: ReadBatcher[SeenVersion, int | None],
        render: Callable[[Job], bytes],
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._jobs = jobs
        self._changes = changes
        self._render = render
        self._max_bytes = max_bytes
        self._entries: OrderedDict[JobRef, CachedBody] = OrderedDict()
        self._bytes = 0
        self._invalidations = 0
        """How often jobs were invalidated: what was read before the last time may be older than that."""

    async def get(self, ref: JobRef) -> CachedBody | None:
        """Return a job's body as it is now; None if there is no such job."""
        entry = self._entries.get(ref)
        asked_at = asyncio.get_running_loop().time()
        if entry is not None:
            if entry.fresh_until > asked_at:
                entry.checks_left = CHECKS_A_USE
                return entry
            changed = await self._changes.get_many((entry.seen,))
            if self._is_unchanged(entry, changed, asked_at):
                return entry
        invalidations = self._invalidations
        job = (await self._jobs.get_many((ref,))).get(ref)
        return None if job is None else self.of(job, asked_at if invalidations == self._invalidations else 0.0)

    async def version(self, ref: JobRef) -> int | None:
        """Return the version a job has now, without reading more of it; None if there is no such job."""
        entry = self._entries.get(ref)
        asked_at = asyncio.get_running_loop().time()
        if entry is not None and entry.fresh_until > asked_at:
            entry.checks_left = CHECKS_A_USE
            return entry.version
        seen = SeenVersion(ref) if entry is None else entry.seen
        changed = await self._changes.get_many((seen,))
        if seen in changed:
            return changed[seen]
        if entry is not None:
            self._is_unchanged(entry, changed, asked_at)
        return seen.version

    async def get_many(self, refs: Collection[JobRef]) -> dict[JobRef, CachedBody]:
        """Return the bodies of jobs as they are now; unknown jobs are left out."""
        asked_at = asyncio.get_running_loop().time()
        found: dict[JobRef, CachedBody] = {}
        stale: list[CachedBody] = []
        for ref in refs:
            entry = self._entries.get(ref)
            if entry is not None:
                if entry.fresh_until > asked_at:
                    entry.checks_left = CHECKS_A_USE
                    found[ref] = entry
                else:
                    stale.append(entry)
        if stale:
            changed = await self._changes.get_many([entry.seen for entry in stale])
            found |= {entry.seen.ref: entry for entry in stale if self._is_unchanged(entry, changed, asked_at)}
        unread = [ref for ref in refs if ref not in found]
        if unread:
            invalidations = self._invalidations
            jobs = await self._jobs.get_many(unread)
            fresh_from = asked_at if invalidations == self._invalidations else 0.0
            found |= {ref: self.of(jobs[ref], fresh_from) for ref in unread if ref in jobs}
        return found

    def of(self, job: Job, asked_at: float = 0.0) -> CachedBody:
        """Return the cached body of a job that was just read, rendering it on a miss.

        A terminal job's body stays fresh for one second after `asked_at`, the time of the read; pass 0 if the job may
        have been invalidated since.
        """
        entry = self._entries.get(job.ref)
        if entry is None or entry.version != job.version:
            new = CachedBody(job.ref, job.version, self._render(job), terminal=job.terminal)
            if entry is not None and entry.version > job.version:
                # An older version than the cached one: valid for the reader that read it, but not to be cached.
                return new
            entry = new
            self._store(entry)
        if entry.terminal and asked_at:
            entry.fresh_until = asked_at + FRESH_SECONDS
        return entry

    def invalidate(self, refs: Iterable[JobRef]) -> None:
        """Drop the bodies of jobs that have changed."""
        self._invalidations += 1
        for ref in refs:
            self._drop(ref)

    def expiring(self) -> list[CachedBody]:
        """Return the terminal jobs' bodies that were read lately and are to be checked, counting the check."""
        expiring = [entry for entry in self._entries.values() if entry.checks_left]
        for entry in expiring:
            entry.checks_left -= 1
        return expiring

    def revalidated(
        self, entries: Iterable[CachedBody], changed: Mapping[SeenVersion, int | None], asked_at: float
    ) -> None:
        """Keep the entries that have not changed fresh as of `asked_at`, and drop the others."""
        for entry in entries:
            self._is_unchanged(entry, changed, asked_at)

    def _is_unchanged(self, entry: CachedBody, changed: Mapping[SeenVersion, int | None], asked_at: float) -> bool:
        """Whether an entry is still valid by a check that began at `asked_at`; drops it if it is not."""
        ref = entry.seen.ref
        if self._entries.get(ref) is not entry:
            # Dropped meanwhile, by an invalidation that may be younger than the check.
            return False
        if entry.seen in changed:
            self._drop(ref)
            return False
        if entry.terminal:
            entry.fresh_until = asked_at + FRESH_SECONDS
        return True

    def _store(self, entry: CachedBody) -> None:
        self._drop(entry.seen.ref)
        if len(entry.body) > MAX_BODY_BYTES:
            return
        self._entries[entry.seen.ref] = entry
        self._bytes += len(entry.body) + _ENTRY_BYTES
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= len(oldest.body) + _ENTRY_BYTES

    def _drop(self, ref: JobRef) -> None:
        entry = self._entries.pop(ref, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES


class Revalidator:
    """Checks the terminal jobs that are read often, before a reader would have to."""

    def __init__(self, database: Database, caches: Collection[BodyCache]) -> None:
        self._database = database
        self._caches = caches

    async def check(self) -> float:
        """Check all of them, slice by slice; returns the seconds until the next check."""
        for cache in self._caches:
            expiring = cache.expiring()
            for start in range(0, len(expiring), CHECK_SLICE):
                await self._check_slice(cache, expiring[start : start + CHECK_SLICE])
        return REVALIDATE_SECONDS

    async def _check_slice(self, cache: BodyCache, entries: Collection[CachedBody]) -> None:
        asked_at = asyncio.get_running_loop().time()
        # Not through the reads of requests, which would have to wait for so long a statement.
        changed = await self._database.read(jobs.select_changed, [entry.seen for entry in entries])
        cache.revalidated(entries, changed, asked_at)
