"""What a handler works with: its job, the ways to report on it, and the request to stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, Unpack

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.errors import LeaseLost, Unprocessable
from jobtrack_client.models import ClaimedJob, ItemUpdate

Reason = Literal["stopping", "cancel", "too_long", "refused", "lost"]
_STRENGTH: dict[Reason | None, int] = {None: 0, "stopping": 1, "cancel": 2, "too_long": 3, "refused": 4, "lost": 5}


class JobCancelled(Exception):  # noqa: N818  names the state, not a defect
    """The handler should stop: cancellation was requested, the worker is stopping, or the handler ran for too long."""


class Stop:
    """A request that the handler stop, with its reason. Any thread may make it.

    `stopping` and `cancel` lead to a release, `too_long` and `refused` (the service rejected what the handler may not
    lose) to a failure, `lost` to nothing, because the job may no longer be written to. When there are several reasons,
    the one that comes later in this list counts.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason: Reason | None = None
        self.detail = ""
        self._lock = threading.Lock()
        self._listener: Callable[[], object] | None = None

    def request(self, reason: Reason, detail: str) -> None:
        """Request the stop; an earlier request is replaced only by a stronger reason."""
        with self._lock:
            if _STRENGTH[reason] <= _STRENGTH[self.reason]:
                return
            first = self.reason is None
            self.reason, self.detail = reason, detail
        self.event.set()
        if first and self._listener is not None:
            self._listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call the listener when a stop is requested, from the thread that requests it; at once if it has been."""
        with self._lock:
            self._listener = listener
            requested = self.reason is not None
        if requested:
            listener()

    def check(self) -> None:
        """Raise the exception for the reason if a stop was requested."""
        if self.reason == "lost":
            raise LeaseLost(self.detail, code="lease_lost", status=409)
        if self.reason == "refused":
            raise Unprocessable(self.detail, code="report_refused", status=422)
        if self.reason is not None:
            raise JobCancelled(self.detail)


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
    ) -> None:
        self.job = job
        self.checkpoint: Any = job.get("checkpoint")
        self.cancelled: threading.Event = stop.event
        self._buffer = buffer
        self._stop = stop
        self._flush = flush
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()

    @property
    def payload(self) -> Any:
        """The payload with which the job was created."""
        return self.job.get("payload")

    def check_cancelled(self) -> None:
        """Raise `JobCancelled` if the code should stop, `LeaseLost` if this worker no longer holds the job."""
        self._stop.check()

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
        self._buffer.add_items([update])

    def items(self, updates: Iterable[ItemUpdate]) -> None:
        """Update several items with one call."""
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
        if threading.get_ident() == self._loop_thread:
            raise RuntimeError("flush_from_thread would block the event loop for ever: use `await ctx.flush()`")
        if self._loop.is_closed():
            raise JobCancelled("The worker has ended")

        async def flush() -> None:
            await self._flush()

        asyncio.run_coroutine_threadsafe(flush(), self._loop).result()
