"""What a handler holds while it works on a job."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, Unpack

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.errors import LeaseLost, Unprocessable
from jobtrack_client.models import ClaimedJob, ItemUpdate

Reason = Literal["stopping", "cancel", "refused", "lost"]
_STRENGTH: dict[Reason | None, int] = {None: 0, "stopping": 1, "cancel": 2, "refused": 3, "lost": 4}


class JobCancelled(Exception):  # noqa: N818  says what is the case
    """The code should stop: a cancel was asked for, or the worker stops and gives the job back."""


class Stop:
    """The order to stop that reaches a handler, from whichever side it comes first.

    `stopping` and `cancel` end in a release, `refused` (the service does not take what the handler
    says) in a failure, `lost` in nothing, because nothing may be written; the last word is the strongest.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason: Reason | None = None
        self.detail = ""
        self._listener: Callable[[], object] | None = None

    def request(self, reason: Reason, detail: str) -> None:
        """Give the order; only a stronger one replaces it."""
        if _STRENGTH[reason] <= _STRENGTH[self.reason]:
            return
        first = self.reason is None
        self.reason, self.detail = reason, detail
        self.event.set()
        if first and self._listener is not None:
            self._listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call this when the order comes; at once if it has come."""
        self._listener = listener
        if self.reason is not None:
            listener()

    def check(self) -> None:
        """Raise what the order means, if there is one."""
        if self.reason == "lost":
            raise LeaseLost(self.detail, code="lease_lost", status=409)
        if self.reason == "refused":
            raise Unprocessable(self.detail, code="report_refused", status=422)
        if self.reason is not None:
            raise JobCancelled(self.detail)


class JobContext:
    """The job at hand: its input, and the ways to say how it goes.

    Everything may be called from any thread and returns at once: what is said is gathered, and sent in
    a report twice a second or so (a new stage at once). `job` is the job as claimed, `checkpoint` what
    the last attempt kept. `cancelled` is set when the code should stop; coroutines are cancelled too.
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

    @property
    def payload(self) -> Any:
        """What the job was created with."""
        return self.job.get("payload")

    def check_cancelled(self) -> None:
        """Raise `JobCancelled` when the code should stop, `LeaseLost` when the job is no longer ours."""
        self._stop.check()

    def report(
        self,
        progress: float | None = None,
        *,
        stage: str | None = None,
        message: str | None = None,
        items_total: int | None = None,
    ) -> None:
        """Say how far the job is (0 to 100), in which stage, and how many items it will have."""
        self._buffer.add_fields(progress=progress, stage=stage, message=message, items_total=items_total)

    def item(self, **update: Unpack[ItemUpdate]) -> None:
        """Say how one item (a file, a row) is doing; `key` names it, what is left out stays."""
        self._buffer.add_items([update])

    def items(self, updates: Iterable[ItemUpdate]) -> None:
        """Say how many items are doing, in one go."""
        self._buffer.add_items(updates)

    def log(self, level: str, message: str) -> None:
        """Add a line to the job's log; levels are debug, info, warning, error."""
        self._buffer.add_log({"level": level, "message": message})

    def save_checkpoint(self, checkpoint: object) -> None:
        """Keep any JSON value for the next attempt, which finds it as `checkpoint`."""
        self._buffer.set_checkpoint(checkpoint)

    async def flush(self) -> None:
        """Wait until the service knows all that was said. Raises `LeaseLost`."""
        await self._flush()

    def flush_from_thread(self) -> None:
        """`flush` for a handler that is plain code; also what slows one down that says too much."""

        async def flush() -> None:
            await self._flush()

        asyncio.run_coroutine_threadsafe(flush(), self._loop).result()
