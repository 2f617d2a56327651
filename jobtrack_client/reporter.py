"""Tells the service how one job is going, and so keeps its lease.

One report is in flight at a time, so they arrive in the order in which things were said. Every report
extends the lease; an empty one, a heartbeat, is sent when a third of the lease has passed without
another, which leaves two more tries. Time is counted on the monotonic clock from before a request was
sent: the service counts from when it got it, so ours runs out first.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.context import Stop
from jobtrack_client.errors import JobtrackError, Unprocessable
from jobtrack_client.models import ClaimedJob
from jobtrack_client.patience import logger, until_answered
from jobtrack_client.worker_calls import report

# Without a lease there is nothing to keep, but a cancel gives such a job one of 60 s: ask three times in it.
_ASK_SECONDS = 20.0
_SHORTEST_TIMEOUT_SECONDS = 1.0
# The lease of a job that is being cancelled is not extended; a third of what is left would go to nothing, and the
# heartbeats with it to a storm. The shortest lease is a second.
_SHORTEST_INTERVAL_SECONDS = 0.25


class Reporter:
    """The reports of one job; `run` is a task beside the handler, `drain` sends the rest after it."""

    def __init__(
        self,
        client: AsyncJobtrackClient,
        job: ClaimedJob,
        stop: Stop,
        *,
        lease_seconds: int | None,
        flush_seconds: float,
    ) -> None:
        self._client = client
        self._job_id = job["id"]
        self._token = job["lease"]["token"]
        self._stop = stop
        self._lease_seconds = lease_seconds
        self._flush_seconds = flush_seconds
        self._interval = _interval(job["lease"]["expires_in_seconds"])
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        # The first report goes at once: it makes the job `running`, and starts our count of the lease.
        self._urgent = True
        self._sent_at = time.monotonic()
        self._unsent: dict[str, Any] | None = None
        self._flushers: list[asyncio.Future[None]] = []
        self.buffer = ReportBuffer(self._wake_from_any_thread)

    async def run(self) -> None:
        """Send reports and heartbeats until cancelled, or until the job is no longer ours."""
        while self._stop.reason != "lost":
            await self._until_due()
            await self._send()

    async def drain(self) -> None:
        """Send what is left; call it when `run` has been cancelled."""
        while self._stop.reason != "lost" and not (self._unsent is None and self.buffer.empty):
            await self._send()
        self._answer_flushers()

    async def flush(self) -> None:
        """Wait until all that was said has been acknowledged."""
        if self._stop.reason != "lost":
            flushed = self._loop.create_future()
            self._flushers.append(flushed)
            self._wake_up(urgent=True)
            await flushed
        if self._stop.reason == "lost":
            self._stop.check()

    def _wake_from_any_thread(self, urgent: bool) -> None:
        self._loop.call_soon_threadsafe(self._wake_up, urgent)

    def _wake_up(self, urgent: bool) -> None:
        self._urgent = self._urgent or urgent
        self._wake.set()

    async def _until_due(self) -> None:
        while (left := self._due_in()) > 0:
            self._wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return

    def _due_in(self) -> float:
        if self._urgent or self._unsent is not None:
            return 0
        pause = self._interval if self.buffer.empty else min(self._interval, self._flush_seconds)
        return self._sent_at + pause - time.monotonic()

    async def _send(self) -> None:
        self._urgent = False
        # Kept until it is acknowledged: a report cut off by `run`'s end is sent again by `drain`.
        if self._unsent is None:
            self._unsent = self.buffer.take()
            self._urgent = not self.buffer.empty  # more was said than one report holds
        try:
            await until_answered(self._send_unsent)
        except (Unprocessable, TypeError, ValueError) as error:
            # What the handler said is no report; the next attempt would say the same.
            logger.warning("job %s: a report was refused: %s", self._job_id, error)
            self._stop.request("refused", str(error))
        except JobtrackError as error:
            # Taken over, ended, deleted, or the key lost its rights: nothing can be written any more.
            logger.warning("job %s: %s", self._job_id, error)
            self._stop.request("lost", error.detail)
        self._unsent = None
        if self.buffer.empty or self._stop.reason == "lost":
            self._answer_flushers()

    async def _send_unsent(self) -> None:
        call = report(self._job_id, self._token, lease_seconds=self._lease_seconds, **(self._unsent or {}))
        sent_at = time.monotonic()
        answer = await self._client.send(
            dataclasses.replace(call, timeout=max(self._interval, _SHORTEST_TIMEOUT_SECONDS))
        )
        self._sent_at = sent_at
        self._interval = _interval(answer["lease"]["expires_in_seconds"])
        if answer["cancel_requested"]:
            self._stop.request("cancel", "A cancel was asked for")

    def _answer_flushers(self) -> None:
        for flushed in self._flushers:
            if not flushed.done():
                flushed.set_result(None)
        self._flushers.clear()


def _interval(lease_seconds: float | None) -> float:
    return _ASK_SECONDS if lease_seconds is None else max(lease_seconds / 3, _SHORTEST_INTERVAL_SECONDS)
