"""Bodies of jobs, rendered once per version and shared by all who read that version.

A version names a body, so a body that was rendered stays right for as long as the job has that version: to read it
again takes a look at the version alone, a few bytes from the database in place of the whole row. A job that has ended
has its last version. Then even that look is needed only once a second, for a deletion may have been missed: the feed
tells of one at once, and if it does not, `GOOD_SECONDS` bound for how long the deleted job is still served.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.domain.job import Job, JobKey
from app.live.read_batcher import ReadBatcher

GOOD_SECONDS: Final = 1.0
"""For how long a job that has ended is served after the database was last asked for it."""
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
"""A larger body is rendered each time: a few of them would push out all others."""
_ENTRY_BYTES: Final = 600
"""What an entry costs beside its body, roughly."""


@dataclass(slots=True)
class Rendering:
    """A job's body at one version."""

    version: int
    terminal: bool
    body: bytes
    good_until: float = 0.0
    """By the clock of the event loop; until then nobody has to look again."""
    used: bool = False


class Renderings:
    """The bodies of one kind, as one function renders them."""

    def __init__(
        self,
        jobs: ReadBatcher[JobKey, Job],
        versions: ReadBatcher[JobKey, int],
        render: Callable[[Job], bytes],
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._jobs = jobs
        self._versions = versions
        self._render = render
        self._max_bytes = max_bytes
        self._kept: OrderedDict[JobKey, Rendering] = OrderedDict()
        self._bytes = 0

    def good(self, key: JobKey) -> Rendering | None:
        """Give the body of a job that has ended and was looked at within the second; None says nothing."""
        entry = self._kept.get(key)
        if entry is None or entry.good_until <= asyncio.get_running_loop().time():
            return None
        entry.used = True
        return entry

    async def get(self, key: JobKey) -> Rendering | None:
        """Give a job's body as it is now; None if there is no such job."""
        good = self.good(key)
        return good if good is not None else (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Collection[JobKey]) -> dict[JobKey, Rendering]:
        """Give the bodies of jobs as they are now; unknown jobs are left out."""
        asked_at = asyncio.get_running_loop().time()
        found: dict[JobKey, Rendering] = {}
        doubted, unread = [], []
        for key in keys:
            entry = self._kept.get(key)
            if entry is None:
                unread.append(key)
            elif entry.good_until > asked_at:
                entry.used = True
                found[key] = entry
            else:
                doubted.append(key)
        if doubted:
            unread += await self._look_again(doubted, found, asked_at)
        if unread:
            jobs = await self._jobs.get_many(unread)
            found |= {key: self.of(jobs[key], asked_at) for key in unread if key in jobs}
        return found

    async def _look_again(
        self, keys: Sequence[JobKey], found: dict[JobKey, Rendering], asked_at: float
    ) -> list[JobKey]:
        """Take up what is still at its version; gives what has to be read anew."""
        versions = await self._versions.get_many(keys)
        changed = []
        for key in keys:
            if self._confirmed(key, versions.get(key), asked_at):
                found[key] = self._kept[key]
            elif key in versions:
                changed.append(key)
        return changed

    def of(self, job: Job, asked_at: float = 0.0) -> Rendering:
        """Give the body of a job that was just read, or asked for at `asked_at`; rendered only if nobody did."""
        key = (job.project_id, job.id)
        entry = self._kept.get(key)
        if entry is None or entry.version != job.version:
            new = Rendering(job.version, job.terminal, self._render(job))
            if entry is not None and entry.version > job.version:
                # Read before a change that somebody else has seen already: right for its reader, and nobody else's.
                return new
            entry = new
            self._keep(key, entry)
        if entry.terminal and asked_at:
            entry.good_until = asked_at + GOOD_SECONDS
        return entry

    def doubt(self, keys: Iterable[JobKey]) -> None:
        """Forget the bodies of jobs that have changed."""
        for key in keys:
            self._drop(key)

    def used(self) -> list[JobKey]:
        """List the ended jobs that were served from here since the last call."""
        found = [key for key, entry in self._kept.items() if entry.used]
        for key in found:
            self._kept[key].used = False
        return found

    def confirm(self, keys: Iterable[JobKey], versions: Mapping[JobKey, int], asked_at: float) -> None:
        """Take note of versions that were asked for at `asked_at`, for as long again."""
        for key in keys:
            self._confirmed(key, versions.get(key), asked_at)

    def _confirmed(self, key: JobKey, version: int | None, asked_at: float) -> bool:
        entry = self._kept.get(key)
        if entry is None or version is None or entry.version != version:
            if entry is not None and (version is None or entry.version < version):
                self._drop(key)
            return False
        if entry.terminal:
            entry.good_until = asked_at + GOOD_SECONDS
        return True

    def _keep(self, key: JobKey, entry: Rendering) -> None:
        self._drop(key)
        if len(entry.body) > MAX_BODY_BYTES:
            return
        self._kept[key] = entry
        self._bytes += len(entry.body) + _ENTRY_BYTES
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body) + _ENTRY_BYTES

    def _drop(self, key: JobKey) -> None:
        entry = self._kept.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry.body) + _ENTRY_BYTES
