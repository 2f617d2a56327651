"""What the loops of one attempt share: the marks in the checkpoint, and where the last attempt was."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.errors import Forbidden
from jobtrack_client.loops import WorkerLoop
from jobtrack_client.models import ClaimedJob
from jobtrack_client.stop import Stop
from jobtrack_client.todo import UNFINISHED, Pages, Todo, UnfinishedKeys

if TYPE_CHECKING:
    from jobtrack_client.track import Track

T = TypeVar("T")

_FINISHED = ("completed", "failed", "skipped")
# The marks of a handler with more loops would take a noticeable part of the checkpoint: its later loops begin anew.
_MARKED_LOOPS = 100

Mark = tuple[int, str]
"""How many items of a loop are done, and a digest of their keys in order."""
BEGINNING: Final[Mark] = (0, "")


class Marks(TypedDict, total=False):
    """What the checkpoint says of an attempt: a mark for each loop in the order of their starts, the key of the item
    whose exception ended the attempt, and whether `todo` returned the job's own items.
    """

    loops: list[Mark]
    failed: str | None
    from_items: bool


class Tracking:
    """The marks of an attempt and its loops."""

    def __init__(
        self,
        job: ClaimedJob,
        marks: Mapping[str, Any],
        buffer: ReportBuffer,
        stop: Stop,
        pages: Pages,
        loop: WorkerLoop,
    ) -> None:
        self.buffer = buffer
        self.stop = stop
        self.loop = loop
        self._job = job
        self._pages = pages
        self._earlier: list[Mark] = [(int(count), str(digest)) for count, digest in marks.get("loops") or ()]
        self._loops: list[Mark] = list(self._earlier)
        self._failed: str | None = marks.get("failed")
        self._from_items: bool | None = marks.get("from_items")
        self._tracks: list[Track[Any]] = []
        self._total = -1

    def start(self, track: Track[Any]) -> tuple[int, Mark]:
        """Begin a loop; returns its number, and the mark of the last attempt's loop of that number."""
        self._tracks.append(track)
        number = len(self._tracks) - 1
        return number, self._earlier[number] if number < len(self._earlier) else BEGINNING

    def declare(self, count: int) -> None:
        """Report how many items there are, if there are more than an earlier loop had: a later one may have fewer."""
        if count > self._total:
            self._total = count
            self.buffer.add_fields(items_total=count)

    def mark(self, number: int, mark: Mark, key: str | None = None) -> None:
        """Keep in the checkpoint how far a loop is; `key` is the item that is done now."""
        if key is not None and key == self._failed:
            self._failed = None
            self.buffer.set_mark("failed", None)
        if number < _MARKED_LOOPS:
            self._loops[number : number + 1] = [mark]
            self.buffer.set_mark("loops", list(self._loops))

    def note(self, update: Any) -> None:
        """Note that the handler has set the status of an item itself."""
        if self._tracks and isinstance(update, dict) and update.get("status") not in {None, *UNFINISHED}:
            for track in self._tracks:
                track.note(update.get("key"))

    async def finished(self) -> frozenset[str]:
        """Return the keys of the items that earlier attempts have finished."""
        keys: set[str] = set()
        cursor: str | None = ""
        try:
            while cursor is not None:
                page = await self._pages(_FINISHED, cursor or None)
                keys.update(item["key"] for item in page["items"])
                cursor = page["next_cursor"]
        except Forbidden as error:
            self.buffer.add_worker_log("warning", f"The items come in another order and are all done again: {error}")
            return frozenset()
        return frozenset(keys - {self._failed or ""})

    def todo(self, default: Iterable[T] | AsyncIterable[T]) -> Todo[Any]:
        """Return the unfinished items if the job was created with items, else the default."""
        if self._from_items is None:
            # What a second attempt finds may be what the first has reported; a rerun has its items from the beginning.
            is_first = self._job["attempt"] <= 1 or self._job["original_job_id"] is not None
            self._from_items = is_first and self._job["counts"]["total"] > 0
        self.buffer.set_mark("from_items", self._from_items)
        if not self._from_items:
            return Todo(default)
        return Todo(UnfinishedKeys(self._pages, self.loop, self._job.get("items"), self._failed))

    def end(self, error: BaseException | None) -> None:
        """End the items in work as the handler has ended."""
        for track in self._tracks:
            failed = track.end(error)
            if failed is not None:
                self.buffer.set_mark("failed", failed)
