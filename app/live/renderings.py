"""Bodies of jobs, rendered once per version and shared by all who read that version.

A version names a body, so a body that was rendered stays right for as long as the job has that version: to read it
again takes asking whether that is so, a few bytes for the database in place of the whole row. A job that has ended has
its last version. Then even that is asked only now and then, for a deletion may have been missed: the feed tells of one
at once, and if it does not, `GOOD_SECONDS` bound for how long the deleted job is still served. `Freshness` asks for all
that is read often, so that no reader has to.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from app.db import jobs
from app.db.engine import Database
from app.domain.job import Job, JobRef, Known
from app.live.read_batcher import ReadBatcher
from app.live.service import Loop

GOOD_SECONDS: Final = 1.0
"""For how long a job that has ended is served after the database was last asked for it."""
LOOK_SECONDS: Final = 0.4
"""Well within that, so that what is read often is always good."""
LOOKS_A_USE: Final = 5
"""How many looks a job is worth after it was read: with ten thousand of them each comes again after a second or so."""
LOOK_SLICE: Final = 1_000
"""Jobs that one look asks about at a time: the event loop is held for a millisecond."""
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
"""A larger body is rendered each time: a few of them would push out all others."""
_ENTRY_BYTES: Final = 800
"""What an entry costs beside its body, roughly."""


class Rendering:
    """A job's body at one version."""

    __slots__ = ("body", "good_until", "known", "looks", "terminal")

    def __init__(self, key: JobRef, version: int, body: bytes, *, terminal: bool) -> None:
        self.known = Known(key, version)
        self.body = body
        self.terminal = terminal
        self.good_until = 0.0
        """By the clock of the event loop; until then nobody has to look again."""
        self.looks = 0
        """How many more times it is looked at without being asked for."""

    @property
    def version(self) -> int:
        """The version that this is the body of."""
        return self.known.version


class Renderings:
    """The bodies of one kind, as one function renders them."""

    def __init__(
        self,
        jobs: ReadBatcher[JobRef, Job],
        changes: ReadBatcher[Known, int | None],
        render: Callable[[Job], bytes],
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._jobs = jobs
        self._changes = changes
        self._render = render
        self._max_bytes = max_bytes
        self._kept: OrderedDict[JobRef, Rendering] = OrderedDict()
        self._bytes = 0
        self._doubts = 0
        """How often there was news: what was asked for before the last may be older than that."""

    async def get(self, key: JobRef) -> Rendering | None:
        """Give a job's body as it is now; None if there is no such job."""
        entry = self._kept.get(key)
        asked_at = asyncio.get_running_loop().time()
        if entry is not None:
            if entry.good_until > asked_at:
                entry.looks = LOOKS_A_USE
                return entry
            changed = await self._changes.get_many((entry.known,))
            if self._unchanged(entry, changed, asked_at):
                return entry
        doubts = self._doubts
        job = (await self._jobs.get_many((key,))).get(key)
        return None if job is None else self.of(job, asked_at if doubts == self._doubts else 0.0)

    async def version(self, key: JobRef) -> int | None:
        """Say which version a job has now, without reading more of it; None if there is no such job."""
        entry = self._kept.get(key)
        asked_at = asyncio.get_running_loop().time()
        if entry is not None and entry.good_until > asked_at:
            entry.looks = LOOKS_A_USE
            return entry.version
        known = Known(key) if entry is None else entry.known
        changed = await self._changes.get_many((known,))
        if known in changed:
            return changed[known]
        if entry is not None:
            self._unchanged(entry, changed, asked_at)
        return known.version

    async def get_many(self, keys: Collection[JobRef]) -> dict[JobRef, Rendering]:
        """Give the bodies of jobs as they are now; unknown jobs are left out."""
        asked_at = asyncio.get_running_loop().time()
        found: dict[JobRef, Rendering] = {}
        doubted: list[Rendering] = []
        for key in keys:
            entry = self._kept.get(key)
            if entry is not None:
                if entry.good_until > asked_at:
                    entry.looks = LOOKS_A_USE
                    found[key] = entry
                else:
                    doubted.append(entry)
        if doubted:
            changed = await self._changes.get_many([entry.known for entry in doubted])
            found |= {entry.known.key: entry for entry in doubted if self._unchanged(entry, changed, asked_at)}
        unread = [key for key in keys if key not in found]
        if unread:
            doubts = self._doubts
            jobs = await self._jobs.get_many(unread)
            good_from = asked_at if doubts == self._doubts else 0.0
            found |= {key: self.of(jobs[key], good_from) for key in unread if key in jobs}
        return found

    def of(self, job: Job, asked_at: float = 0.0) -> Rendering:
        """Give the body of a job that was just read; rendered only if nobody did. Of one that has ended nobody looks
        again for a second from `asked_at` on, when it was asked for; 0 where there was news since.
        """
        key = job.ref
        entry = self._kept.get(key)
        if entry is None or entry.version != job.version:
            new = Rendering(key, job.version, self._render(job), terminal=job.terminal)
            if entry is not None and entry.version > job.version:
                # Read before a change that somebody else has seen already: right for its reader, and nobody else's.
                return new
            entry = new
            self._keep(key, entry)
        if entry.terminal and asked_at:
            entry.good_until = asked_at + GOOD_SECONDS
        return entry

    def doubt(self, keys: Iterable[JobRef]) -> None:
        """Forget the bodies of jobs that have changed."""
        self._doubts += 1
        for key in keys:
            self._drop(key)

    def due(self) -> list[Rendering]:
        """List the ended jobs that were read lately, to be looked at."""
        found = [entry for entry in self._kept.values() if entry.looks]
        for entry in found:
            entry.looks -= 1
        return found

    def confirm(self, entries: Iterable[Rendering], changed: Mapping[Known, int | None], asked_at: float) -> None:
        """Take note of what has changed of these jobs and what has not, as of `asked_at`."""
        for entry in entries:
            self._unchanged(entry, changed, asked_at)

    def _unchanged(self, entry: Rendering, changed: Mapping[Known, int | None], asked_at: float) -> bool:
        """Whether an entry is still right by what was asked for at `asked_at`; one that is not is dropped."""
        key = entry.known.key
        if self._kept.get(key) is not entry:
            # Dropped meanwhile, by news that may be younger than the answer.
            return False
        if entry.known in changed:
            self._drop(key)
            return False
        if entry.terminal:
            entry.good_until = asked_at + GOOD_SECONDS
        return True

    def _keep(self, key: JobRef, entry: Rendering) -> None:
        self._drop(key)
        if len(entry.body) > MAX_BODY_BYTES:
            return
        self._kept[key] = entry
        self._bytes += len(entry.body) + _ENTRY_BYTES
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body) + _ENTRY_BYTES

    def _drop(self, key: JobRef) -> None:
        entry = self._kept.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES


class Freshness(Loop):
    """Asks about the ended jobs that are read often, before a reader would have to."""

    def __init__(self, database: Database, kinds: Collection[Renderings]) -> None:
        super().__init__("freshness")
        self._database = database
        self._kinds = kinds

    async def turn(self) -> None:
        """Wait, then look at all of them, slice by slice."""
        await asyncio.sleep(LOOK_SECONDS)
        for renderings in self._kinds:
            due = renderings.due()
            for start in range(0, len(due), LOOK_SLICE):
                await self._look(renderings, due[start : start + LOOK_SLICE])

    async def _look(self, renderings: Renderings, entries: Collection[Rendering]) -> None:
        asked_at = asyncio.get_running_loop().time()
        known = [entry.known for entry in entries]
        # Not through the reads of requests, which would have to wait for so long a statement.
        changed = await self._database.read(lambda connection: jobs.select_changed(connection, known))
        renderings.confirm(entries, changed, asked_at)
