"""Sends the reports of one job to the service, and so keeps its lease.

One report is in flight at a time, so reports arrive in the order of their updates. Every report extends the lease. A
heartbeat, which is a report without fields, is sent when a third of the lease has passed without a report; that leaves
two more attempts. The lease is measured on the monotonic clock from before a request was sent. The service counts from
the moment it received the request, so our lease expires first.
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

# Without a lease there is nothing to extend, but a cancellation gives the job a lease of 60 s: report thrice within it.
_NO_LEASE_INTERVAL_SECONDS = 20.0
_SHORTEST_TIMEOUT_SECONDS = 1.0
# The lease of a job that is being cancelled is not extended, so a third of the remaining time would shrink towards zero
# and the heartbeats would become a flood. The shortest lease is one second.
_SHORTEST_INTERVAL_SECONDS = 0.25


class Reporter:
    """Reports on one job: `run` is a task beside the handler, `drain` sends the rest after it."""

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
        # The first report is sent at once: it makes the job `running` and starts our measurement of the lease.
        self._urgent = True
        self._sent_at = time.monotonic()
        self._unsent: dict[str, Any] | None = None
        self._flushers: list[asyncio.Future[None]] = []
        self.buffer = ReportBuffer(self._wake_from_any_thread)

    async def run(self) -> None:
        """Send reports and heartbeats until cancelled, or until the lease is lost."""
        while self._stop.reason != "lost":
            await self._until_due()
            await self._send()

    async def drain(self) -> None:
        """Send the remaining updates; called after `run` has been cancelled."""
        while self._stop.reason != "lost" and not (self._unsent is None and self.buffer.empty):
            await self._send()
        self._release_flushers()

    async def flush(self) -> None:
        """Wait until all earlier updates have been acknowledged."""
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
        # Kept until it is acknowledged: a report that the end of `run` interrupts is sent again by `drain`.
        if self._unsent is None:
            self._unsent = self.buffer.take()
            self._urgent = not self.buffer.empty  # there are more updates than one report holds
        try:
            await until_answered(self._send_unsent)
        except (Unprocessable, TypeError, ValueError) as error:
            # The handler's updates do not form a valid report, and those of the next attempt would not either.
            logger.warning("job %s: a report was refused: %s", self._job_id, error)
            self._stop.request("refused", str(error))
        except JobtrackError as error:
            # Claimed by another worker, ended, deleted, or the key lost its scope: the job can no longer be written to.
            logger.warning("job %s: %s", self._job_id, error)
            self._stop.request("lost", error.detail)
        self._unsent = None
        if self.buffer.empty or self._stop.reason == "lost":
            self._release_flushers()

    async def _send_unsent(self) -> None:
        call = report(self._job_id, self._token, lease_seconds=self._lease_seconds, **(self._unsent or {}))
        sent_at = time.monotonic()
        response = await self._client.send(
            dataclasses.replace(call, timeout=max(self._interval, _SHORTEST_TIMEOUT_SECONDS))
        )
        self._sent_at = sent_at
        self._interval = _interval(response["lease"]["expires_in_seconds"])
        if response["cancel_requested"]:
            self._stop.request("cancel", "Cancellation was requested")

    def _release_flushers(self) -> None:
        for flushed in self._flushers:
            if not flushed.done():
                flushed.set_result(None)
        self._flushers.clear()


def _interval(lease_seconds: float | None) -> float:
    return _NO_LEASE_INTERVAL_SECONDS if lease_seconds is None else max(lease_seconds / 3, _SHORTEST_INTERVAL_SECONDS)
