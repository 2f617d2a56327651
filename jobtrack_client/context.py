"""What a handler works with: its job, the ways to report on it, and the request to stop."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar, Unpack

from jobtrack_client import checkpoint
from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.loops import WorkerLoop
from jobtrack_client.models import ClaimedJob, ItemUpdate
from jobtrack_client.stop import JobCancelled, Stop
from jobtrack_client.todo import Pages, Todo
from jobtrack_client.track import Track
from jobtrack_client.tracking import Tracking

__all__ = ["JobCancelled", "JobContext", "Stop"]

T = TypeVar("T")


class JobContext:
    """The claimed job: its payload, and the methods that report on it.

    The reporting methods may be called from any thread and return at once: updates are buffered and sent
    in a report about twice a second (a new stage at once). `job` is the job as claimed, `checkpoint` the
    value that the last attempt saved. `cancelled` is set when the code should stop; a handler that is a
    coroutine is cancelled as well. When the attempt has ended, calls of threads that it left behind are dropped.
    """

    def __init__(
        self,
        job: ClaimedJob,
        buffer: ReportBuffer,
        stop: Stop,
        flush: Callable[[], Awaitable[None]],
        pages: Pages,
    ) -> None:
        self.job = job
        self.checkpoint: Any
        self.checkpoint, marks = checkpoint.split(job.get("checkpoint"))
        self.cancelled: threading.Event = stop.event
        self._buffer = buffer
        self._stop = stop
        self._flush = flush
        self._loop = WorkerLoop()
        self._tracking = Tracking(job, marks, buffer, stop, pages, self._loop)
        buffer.restore_checkpoint(self.checkpoint, marks)

    @property
    def payload(self) -> Any:
        """The payload with which the job was created."""
        return self.job.get("payload")

    @property
    def is_rerun(self) -> bool:
        """Whether the job is a rerun; `todo` returns the items that it is about."""
        return self.job["original_job_id"] is not None

    def check_cancelled(self) -> None:
        """Raise `JobCancelled` if the code should stop, `LeaseLost` if this worker no longer holds the job."""
        self._stop.check()

    def track(
        self,
        values: Iterable[T] | AsyncIterable[T],
        *,
        key: Callable[[T], str] = str,
        total: int | None = None,
        last: bool = True,
    ) -> Track[T]:
        """Iterate over values, each an item of the job: in work while the loop's body runs, completed after it.

        Use `for` in a function and `async for` in a coroutine. `key` makes the item's key of a value. An exception that
        leaves the loop fails the item and, as any other, the attempt; in `Track.guard` it fails the item alone.
        Between two items a stop is noticed as in `check_cancelled`. The number of items is reported where it is known,
        or is `total`. The checkpoint keeps how far the loop is: a next attempt goes on behind the last item that
        is done, also where the values come in another order. With `last=False` the items stay in work,
        for another loop over them. Each loop of a handler is recognized by its number, so a handler begins its
        loops in the same order in every attempt.
        """
        return Track(self._tracking, values, key=key, total=total, last=last)

    def todo(self, default: Iterable[T] | AsyncIterable[T] = ()) -> Todo[T | str]:
        """Return the keys of the unfinished items if the job was created with items, as every rerun is; else `default`.

        So a rerun of failed items does just those: `for key in ctx.track(ctx.todo(default=all_keys))`. An item whose
        exception ended the last attempt is among them. More items than a claim brings (1,000) are read page by
        page, which takes a key with the scope `read`. Use `for` in a function and `async for` in a coroutine.
        """
        return self._tracking.todo(default)

    def report(
        self,
        progress: float | None = None,
        *,
        stage: str | None = None,
        message: str | None = None,
        items_total: int | None = None,
    ) -> None:
        """Report how far the job is (0 to 100), its stage, and how many items it will have.

        Texts are cut to 255 (stage) and 4,096 characters (message), the progress is moved into its bounds.
        """
        self._buffer.add_fields(progress=progress, stage=stage, message=message, items_total=items_total)

    def item(self, **update: Unpack[ItemUpdate]) -> None:
        """Update one item (a file, a row), identified by `key`; omitted fields stay as they are.

        An update that the service refuses (an unknown status, a result over 4 KiB) is dropped, with all that the same
        report says of the item, and the job's log says why. With the worker's `strict_items` it fails the job.
        """
        self.items([update])

    def items(self, updates: Iterable[ItemUpdate]) -> None:
        """Update several items with one call."""
        updates = list(updates)
        for update in updates:
            self._tracking.note(update)
        self._buffer.add_items(updates)

    def log(self, level: str | int, message: object) -> None:
        """Add a line to the job's log; never raises.

        The levels are debug, info, warning, error and critical, or a number of `logging`; others become the nearest of
        them. A line of more than 16,384 characters becomes several, at most eight, the last of which is cut.
        """
        self._buffer.add_log(level, message)

    def save_checkpoint(self, checkpoint: object) -> None:
        """Save a JSON value of up to 1 MiB for the next attempt, which finds it as `checkpoint`."""
        self._buffer.set_checkpoint(checkpoint)

    async def flush(self) -> None:
        """Wait until the service has acknowledged all earlier updates.

        Raises `LeaseLost` if another worker holds the job, `JobCancelled` once the attempt has ended.
        """
        await self._flush()

    def flush_from_thread(self) -> None:
        """Do the same as `flush`, for a synchronous handler; it also slows down one that reports too fast."""
        self._loop.result(self._flush, "await ctx.flush()")

    def end_items(self, error: BaseException | None) -> None:
        """End the items in work; called by the worker when the handler has ended, with what it raised."""
        self._tracking.end(error)
