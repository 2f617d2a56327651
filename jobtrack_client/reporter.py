"""Sends the reports of one job to the service, and so keeps its lease.

One report is in flight at a time, so reports arrive in the order of their updates. Every report extends the lease. A
heartbeat, which is a report without fields, is sent when a third of the lease has passed without a report; that leaves
two more attempts. While the event loop is blocked, `heartbeats` sends them instead.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.errors import JobtrackError, Unprocessable
from jobtrack_client.lease import Lease
from jobtrack_client.loops import call_in
from jobtrack_client.patience import logger, until_answered
from jobtrack_client.refusals import Refusal, remaining
from jobtrack_client.stop import JobCancelled
from jobtrack_client.submitter import Submitter
from jobtrack_client.text import plain
from jobtrack_client.worker_calls import report

_SHORTEST_TIMEOUT_SECONDS = 1.0


class Reporter:
    """Reports on one job: `run` is a task beside the handler, `drain` sends the rest after it."""

    def __init__(
        self,
        submitter: Submitter,
        lease: Lease,
        *,
        flush_seconds: float,
        strict_items: bool = False,
        make_buffer: Callable[..., ReportBuffer] = ReportBuffer,
    ) -> None:
        self._submitter = submitter
        self._lease = lease
        self._stop = lease.stop
        self._flush_seconds = flush_seconds
        self._strict_items = strict_items
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        # The first report is sent at once: it makes the job `running` and starts our measurement of the lease.
        self._urgent = True
        # Kept until acknowledged. A refused report becomes several.
        self._unsent: deque[dict[str, Any]] = deque()
        self._flushers: list[asyncio.Future[None]] = []
        self._ending = False
        self._ended = False
        self.buffer = make_buffer(self._wake_from_any_thread, job_id=lease.job_id, strict_items=strict_items)

    async def run(self) -> None:
        """Send reports and heartbeats until `end`, or until the lease is lost."""
        while self._stop.reason != "lost" and not self._ending:
            await self._until_due()
            await self._send()

    async def end(self, running: asyncio.Task[None]) -> None:
        """End the task of `run`. A report in flight is awaited: log lines that are sent twice are there twice."""
        self._ending = True
        try:
            if any(self._unsent):
                await asyncio.wait({running})
        finally:
            running.cancel()
            await asyncio.wait({running})

    async def drain(self) -> None:
        """Send the remaining updates; called after `end`. Later ones are dropped."""
        self.buffer.close()
        while self._stop.reason != "lost" and (self._unsent or not self.buffer.empty):
            await self._send()
        self._ended = True
        self._release_flushers()

    async def flush(self) -> None:
        """Wait until all earlier updates have been acknowledged."""
        if self._stop.reason != "lost" and not self._ended:
            flushed = self._loop.create_future()
            self._flushers.append(flushed)
            self._wake_up(urgent=True)
            await flushed
        if self._stop.reason == "lost":
            self._stop.check()
        if self._ended:
            # Of a thread that the handler left behind, or that was abandoned: it learns here that it should end.
            raise JobCancelled("The attempt has ended")

    def _wake_from_any_thread(self, urgent: bool) -> None:
        call_in(self._loop, self._wake_up, urgent)

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
        if self._urgent or self._unsent:
            return 0
        interval = self._lease.interval
        pause = interval if self.buffer.empty else min(interval, self._flush_seconds)
        return self._lease.sent_at + pause - time.monotonic()

    async def _send(self) -> None:
        self._urgent = False
        if not self._unsent:
            self._unsent.append(self.buffer.take())
            self._urgent = not self.buffer.empty  # there are more updates than one report holds
        try:
            await until_answered(self._send_unsent, self._lease.interval)
            self._unsent.popleft()
        except Unprocessable as error:
            reports, refusals = remaining(self._unsent.popleft(), error)
            self._unsent.extendleft(reversed(reports))
            for refusal in refusals:
                self._refuse(refusal)
        except JobtrackError as error:
            # Claimed by another worker, ended, deleted, or the key lost its scope: the job can no longer be written to.
            logger.warning("job %s: %s", self._lease.job_id, error)
            self._stop.request("lost", error.detail)
        except Exception as error:  # noqa: BLE001  a closed client; without this line the heartbeats would end in silence
            logger.exception("job %s: a report could not be sent", self._lease.job_id)
            self._stop.request("lost", plain(error))
        if self._stop.reason == "lost" or (self.buffer.empty and not self._unsent):
            self._release_flushers()

    async def _send_unsent(self) -> None:
        lease = self._lease
        call = report(lease.job_id, lease.token, lease_seconds=lease.lease_seconds, **self._unsent[0])
        sent_at = time.monotonic()
        timeout = max(lease.interval, _SHORTEST_TIMEOUT_SECONDS)
        answer = await self._submitter.submit(lease.job_id, "report", call, timeout_seconds=timeout)
        lease.extend(sent_at, answer)

    def _refuse(self, refusal: Refusal) -> None:
        """Log a part that the service does not take. Only a checkpoint, or no part at all, is worth the job."""
        if refusal.field == "items" and not self._strict_items:
            self.buffer.add_refusal(refusal.value.get("key"), refusal.reason)
            return
        sentence = refusal.reason
        if refusal.field == "items":
            sentence = f"item {refusal.value['key']!r}: {refusal.reason}"
        logger.warning("job %s: a report was refused: %s", self._lease.job_id, sentence)
        if refusal.field in {"items", "checkpoint", "report"}:
            self._stop.request("refused", sentence)
        elif refusal.field != "logs":
            self.buffer.add_worker_log("warning", f"A report was refused and dropped: {sentence}")

    def _release_flushers(self) -> None:
        for flushed in self._flushers:
            if not flushed.done():
                flushed.set_result(None)
        self._flushers.clear()
