"""One attempt at a job: run the handler, report beside it, and finish the job."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from jobtrack_client import worker_calls
from jobtrack_client.buffer import ReportBuffer
from jobtrack_client.call import Call
from jobtrack_client.calls import list_items
from jobtrack_client.context import JobContext
from jobtrack_client.errors import Conflict, JobtrackError, Unprocessable
from jobtrack_client.handler import Ended, Handler, is_async, start
from jobtrack_client.heartbeats import Heartbeats
from jobtrack_client.lease import Lease
from jobtrack_client.limits import MAX_DOCUMENT_BYTES
from jobtrack_client.loops import call_in
from jobtrack_client.models import ClaimedJob, ItemPage
from jobtrack_client.outcome import Done, Fail, fields_of
from jobtrack_client.patience import logger, until_answered
from jobtrack_client.reporter import Reporter
from jobtrack_client.stop import Stop
from jobtrack_client.submitter import Action, Submitter
from jobtrack_client.terminal import lasted
from jobtrack_client.text import cut, lines_of, plain
from jobtrack_client.updates import size_of

_TRACEBACK_CHARACTERS = 4000
_SAID_CHARACTERS = 200
_SHORTEST_TIMEOUT_SECONDS = 5.0
# A coroutine that is cancelled ends in this time, unless it waits for something in its clean-up.
_HURRY_SECONDS = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class RunOptions:
    """What is the same for all jobs of a worker; see `Worker`."""

    lease_seconds: int | None
    flush_seconds: float
    grace_seconds: float
    strict_items: bool


class Run:
    """An attempt in progress. `work` ends when the job is finished, released or lost, and does not raise.

    `abandoned` is the handler that could not be ended and still runs, in its thread or in the event loop.
    """

    def __init__(
        self,
        submitter: Submitter,
        job: ClaimedJob,
        handler: Handler | None,
        heartbeats: Heartbeats,
        options: RunOptions,
        *,
        max_run_seconds: float | None,
        make_buffer: Callable[..., ReportBuffer] = ReportBuffer,
    ) -> None:
        self._submitter = submitter
        self._job = job
        self._handler = handler
        self._heartbeats = heartbeats
        self._grace_seconds = options.grace_seconds
        self._began = time.monotonic()
        self.stop = Stop()
        self._hurry = asyncio.Event()
        self._lease = Lease(job, self.stop, lease_seconds=options.lease_seconds, max_run_seconds=max_run_seconds)
        self._reporter = Reporter(
            submitter,
            self._lease,
            flush_seconds=options.flush_seconds,
            strict_items=options.strict_items,
            make_buffer=make_buffer,
        )
        self.abandoned: asyncio.Future[Ended] | None = None

    @property
    def name(self) -> str:
        """How a line of the log calls the job."""
        return f"{self._job['type']} {self._job['id']}"

    def hurry(self) -> None:
        """Wait no longer for a handler that has been requested to stop."""
        self._hurry.set()

    async def work(self) -> None:
        """Run the handler while reports and heartbeats are sent, then finish the job."""
        self._heartbeats.add(self._lease)
        reports = asyncio.create_task(self._reporter.run())
        try:
            try:
                outcome = await self._handle()
            finally:
                await self._reporter.end(reports)
            await self._reporter.drain()
            await self._finish(outcome)
        except Conflict as error:
            # Claimed by another worker or ended meanwhile, or the first try of a repeated call had been carried out.
            logger.info("job %s: %s", self._job["id"], error)
        except JobtrackError as error:
            logger.error("job %s could not be finished: %s", self._job["id"], error)
        except Exception:  # noqa: BLE001  a closed client, or a fault of this module: the worker's other jobs go on
            logger.exception("job %s could not be finished; its lease will expire", self._job["id"])
        finally:
            self._heartbeats.remove(self._lease)

    async def _handle(self) -> Done | BaseException | None:
        """Run the handler and return its outcome; None means that the job is to be released."""
        handler = self._handler
        if self.stop.reason is not None:
            # It came with the answer to an earlier call, and the worker has been stopped meanwhile.
            return None
        again = f" (attempt {self._job['attempt']})" if self._job.get("attempt", 1) > 1 else ""
        self._say("started %s%s", again)
        if handler is None:
            return Fail("no_handler", f"This worker does not know the type {self._job['type']!r}", retryable=False)
        loop = asyncio.get_running_loop()
        context = JobContext(self._job, self._reporter.buffer, self.stop, self._reporter.flush, self._items)
        task = start(handler, context)
        stopped = asyncio.Event()

        def on_stop() -> None:
            stopped.set()
            if is_async(handler):
                task.cancel()

        self.stop.listen(lambda: call_in(loop, on_stop))
        stop_wait = asyncio.create_task(stopped.wait())
        try:
            ends: set[asyncio.Future[Any]] = {task, stop_wait}
            seconds = self._lease.max_run_seconds
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                if not stopped.is_set():
                    self._lease.too_long()
                    logger.warning("job %s: %s", self._job["id"], self.stop.detail)
                    self._reporter.buffer.add_worker_log("error", self.stop.detail)
                # A thread cannot be killed: the handler gets this long to notice the stop, and is abandoned afterwards.
                hurry = asyncio.create_task(self._hurry.wait())
                either: set[asyncio.Future[Any]] = {task, hurry}
                await asyncio.wait(either, timeout=self._grace_seconds, return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()
                if not task.done() and self._hurry.is_set():
                    await asyncio.wait({task}, timeout=_HURRY_SECONDS)
        finally:
            stop_wait.cancel()
        if not task.done():
            self.abandoned = task
            return None
        # A task that is cancelled before its first step never gets to catch it.
        ended = Ended(error=asyncio.CancelledError()) if task.cancelled() else task.result()
        context.end_items(ended.error)
        return self._outcome(ended)

    async def _items(self, status: Sequence[str], cursor: str | None) -> ItemPage:
        call = list_items(self._job["id"], status=status, cursor=cursor)
        return await until_answered(lambda: self._submitter.client.send(call), self._lease.interval)

    def _outcome(self, ended: Ended) -> Done | BaseException | None:
        error = ended.error
        if error is None:
            return ended.value if isinstance(ended.value, Done) else Done(ended.value)
        if isinstance(error, Fail):
            return error
        if self.stop.reason is not None:
            return None
        lines = lines_of(error, _TRACEBACK_CHARACTERS)
        logger.warning("job %s: the handler raised\n%s", self._job["id"], lines)
        self._reporter.buffer.add_worker_log("error", lines)
        return error

    async def _finish(self, outcome: Done | BaseException | None) -> None:
        if self.stop.reason == "lost":
            return
        if self.stop.reason == "refused":
            outcome = Fail("report_refused", self.stop.detail, retryable=False)
        if self.stop.reason == "too_long":
            outcome = Fail("run_too_long", self.stop.detail)
        if isinstance(outcome, Done):
            outcome = await self._complete(outcome)
            if outcome is None:
                return
        if outcome is None:
            ended = await self._send("release", worker_calls.release(self._job["id"], self._lease.token))
            self._say("cancelled %s" if ended.get("status") == "cancelled" else "gave back %s")
        else:
            await self._fail(outcome)

    async def _complete(self, done: Done) -> Fail | None:
        """Complete the job; return a failure instead if the result cannot be stored."""
        # Measured before it is sent: the service may close the connection on a body that is far too long, which would
        # look like a service that is away.
        try:
            size = size_of({"result": done.result, "billing": done.billing})
        except BaseException as error:  # noqa: BLE001  also of the methods of what the handler returned
            return Fail("result_not_json", plain(error) or type(error).__name__, retryable=False)
        if size.byte_count > MAX_DOCUMENT_BYTES:
            detail = f"The result has {size.byte_count:,} bytes of JSON; the service takes {MAX_DOCUMENT_BYTES:,}"
            return Fail("result_refused", detail, retryable=False)
        try:
            call = worker_calls.complete(self._job["id"], self._lease.token, result=done.result, billing=done.billing)
            ended = await self._send("complete", call)
        except Unprocessable as error:
            return Fail("result_refused", error.detail, retryable=False)
        items = ", some items failed," if ended.get("status") == "completed_with_failures" else ""
        self._say("finished %s%s in %s", items, lasted(time.monotonic() - self._began))
        return None

    async def _fail(self, error: BaseException) -> None:
        fields = fields_of(error)
        try:
            ended = await self._send("fail", worker_calls.fail(self._job["id"], self._lease.token, **fields))
        except Unprocessable as refusal:
            logger.error("job %s: its failure was refused: %s", self._job["id"], refusal)
            fields |= {"code": "failure_refused", "message": refusal.detail[:200], "retry_after_seconds": None}
            ended = await self._send("fail", worker_calls.fail(self._job["id"], self._lease.token, **fields))
        again = ", to be tried again" if ended.get("status") == "retrying" else ""
        self._say("failed %s after %s: %s: %s%s", lasted(time.monotonic() - self._began), fields["code"],
                  cut(fields["message"], _SAID_CHARACTERS), again)  # fmt: skip

    async def _send(self, action: Action, call: Call[Any]) -> Any:
        interval = self._lease.interval
        timeout = max(interval, _SHORTEST_TIMEOUT_SECONDS)
        # The place of an abandoned handler is taken until that ends.
        free = self.abandoned is None

        async def send() -> Any:
            return await self._submitter.submit(
                self._job["id"], action, call, timeout_seconds=timeout, frees_place=free
            )

        return await until_answered(send, interval)

    def _say(self, text: str, *values: object) -> None:
        logger.info(text, self.name, *values, extra={"job_id": self._job["id"]})
