"""Heartbeats from a thread, for the time in which a handler blocks the event loop.

The reports of a worker are sent by the event loop. A coroutine that computes, or that calls a blocking function, stops
them, and after the lease the job would be run once more by another worker, beside the first. So a thread looks whether
the loop still turns. While it does not, the thread extends the leases, and ends those whose time is over. It cannot
help against code that holds the interpreter's lock (some extension modules do) for as long.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from jobtrack_client.errors import Conflict, JobtrackError, NotFound, from_problem
from jobtrack_client.lease import Lease, interval_of
from jobtrack_client.loops import call_in
from jobtrack_client.outcome import Fail, fields_of
from jobtrack_client.patience import logger, once
from jobtrack_client.sender import Sender
from jobtrack_client.worker_calls import reports

# The loop is asked for a sign of life this often within a third of the lease.
_LOOKS = 4
_LONGEST_LOOK_SECONDS = 1.0
_STACK_LINES = 3


class Heartbeats:
    """The thread of a worker that keeps the leases of its jobs while the event loop is blocked.

    `on_over` is called in that thread with the number of jobs that have run for too long meanwhile.
    """

    def __init__(
        self,
        make_sender: Callable[[], Sender],
        *,
        lease_seconds: float | None,
        grace_seconds: float,
        on_over: Callable[[int], object],
    ) -> None:
        self._make_sender = make_sender
        self._sender: Sender | None = None
        self._third = interval_of(lease_seconds)
        self._look_seconds = min(self._third / _LOOKS, _LONGEST_LOOK_SECONDS)
        self._grace_seconds = grace_seconds
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._leases: dict[str, Lease] = {}
        self._over: set[str] = set()
        self._closing = threading.Event()
        self._answered = threading.Event()
        self._answered.set()
        self._looked_at = time.monotonic()
        self._warned = False
        self._thread = threading.Thread(target=self._run, name="jobtrack heartbeats", daemon=True)
        self._thread.start()

    def add(self, lease: Lease) -> None:
        """Keep this lease from now on."""
        self._leases[lease.token] = lease

    def remove(self, lease: Lease) -> None:
        """Keep this lease no longer."""
        self._leases.pop(lease.token, None)
        self._over.discard(lease.token)

    async def close(self) -> None:
        """End the thread."""
        self._closing.set()
        # A call in flight ends by its own timeout, and nothing waits for its answer.
        await asyncio.to_thread(self._thread.join, self._look_seconds)

    def _run(self) -> None:
        try:
            while not self._closing.wait(self._look_seconds):
                try:
                    self._look(time.monotonic())
                except Exception:  # noqa: BLE001  the thread is the last that keeps the leases
                    logger.exception("The heartbeats of a blocked event loop failed")
        finally:
            if self._sender is not None:
                self._sender.close()

    def _look(self, now: float) -> None:
        if self._answered.is_set():
            if self._warned:
                logger.warning("The event loop runs again")
            self._warned = False
            self._answered.clear()
            self._looked_at = now
            call_in(self._loop, self._answered.set)
            return
        leases = list(self._leases.values())
        if not leases:
            return
        blocked = now - self._looked_at
        if blocked >= self._third and not self._warned:
            self._warned = True
            logger.warning(
                "The event loop has been blocked for %.1f s%s: await what takes long, or write the handler as a "
                "function without async, which runs in a thread.\n%s",
                blocked,
                self._blocking_task(),
                self._stack(),
            )
        self._send([entry for lease in leases if (entry := self._entry(lease, now)) is not None])

    def _entry(self, lease: Lease, now: float) -> dict[str, Any] | None:
        """Return what is due for this lease: a heartbeat, or the failure of a handler that runs for too long."""
        if lease.token in self._over or lease.stop.reason == "lost":
            return None
        if lease.ends_at is not None and now >= lease.ends_at:
            # A coroutine that looks at `ctx.cancelled` while it computes can still stop by itself.
            lease.too_long()
            if now >= lease.ends_at + self._grace_seconds:
                failure = fields_of(Fail("run_too_long", lease.stop.detail))
                return {"job_id": lease.job_id, "action": "fail", "token": lease.token, **failure}
        if now < lease.sent_at + lease.interval:
            return None
        entry = {"job_id": lease.job_id, "action": "report", "token": lease.token}
        return entry if lease.lease_seconds is None else {**entry, "lease_seconds": lease.lease_seconds}

    def _send(self, entries: list[dict[str, Any]]) -> None:
        if not entries:
            return
        if self._sender is None:
            self._sender = self._make_sender()
        sent_at = time.monotonic()
        try:
            results = self._sender.send(once(reports(entries), max(self._third, 1.0)))  # type: ignore[arg-type]
        except JobtrackError as error:
            logger.warning("The event loop is blocked, and a heartbeat failed: %s", error)
            return
        for entry, result in zip(entries, results, strict=True):
            lease = self._leases.get(entry["token"])
            if lease is not None:
                self._receive(lease, entry["action"], sent_at, result)

    def _receive(self, lease: Lease, action: str, sent_at: float, result: Any) -> None:
        problem = result.get("problem")
        if problem is None and action == "report":
            lease.extend(sent_at, result["outcome"])
            return
        error = None if problem is None else from_problem(int(problem.get("status") or 0), problem, "")
        if error is not None and not isinstance(error, Conflict | NotFound):
            logger.warning("job %s: the event loop is blocked, and a heartbeat failed: %s", lease.job_id, error)
            return
        if action == "fail":
            logger.error("job %s: %s and blocks the event loop; it was failed", lease.job_id, lease.stop.detail)
            self._over.add(lease.token)
        # Nothing more may be written: the attempt was failed here, or the job is another worker's.
        lease.stop.request("lost", lease.stop.detail if error is None else error.detail)
        self._on_over(len(self._over))

    def _blocking_task(self) -> str:
        try:
            task = asyncio.current_task(self._loop)
        except RuntimeError:
            return ""
        return "" if task is None else f" by {task.get_name()}"

    def _stack(self) -> str:
        """Return the innermost lines of what the loop's thread does now."""
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  the only way to another thread's stack
        return "" if frame is None else "".join(traceback.format_stack(frame)[-_STACK_LINES:])
