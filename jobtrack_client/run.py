"""One attempt at a job: run the handler, report beside it, and finish the job."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.context import JobContext, Stop
from jobtrack_client.errors import Conflict, JobtrackError, Unprocessable
from jobtrack_client.models import ClaimedJob
from jobtrack_client.outcome import Done, Fail, failure_of
from jobtrack_client.patience import logger, until_answered
from jobtrack_client.reporter import Reporter

Handler = Callable[[JobContext], Any]


class Run:
    """An attempt in progress. `work` ends when the job is finished, released or lost, and does not raise."""

    def __init__(
        self,
        client: AsyncJobtrackClient,
        job: ClaimedJob,
        handler: Handler | None,
        *,
        lease_seconds: int | None,
        flush_seconds: float,
        grace_seconds: float,
    ) -> None:
        self._client = client
        self._job = job
        self._token = job["lease"]["token"]
        self._handler = handler
        self._grace_seconds = grace_seconds
        self.stop = Stop()
        self._reporter = Reporter(client, job, self.stop, lease_seconds=lease_seconds, flush_seconds=flush_seconds)

    async def work(self) -> None:
        """Run the handler while reports and heartbeats are sent, then finish the job."""
        reports = asyncio.create_task(self._reporter.run())
        try:
            outcome = await self._handle()
        finally:
            reports.cancel()
            await asyncio.wait({reports})
        await self._reporter.drain()
        try:
            await self._finish(outcome)
        except Conflict as error:
            # Claimed by another worker or ended meanwhile, or the first try of a repeated call had been carried out.
            logger.info("job %s: %s", self._job["id"], error)
        except JobtrackError as error:
            logger.error("job %s could not be finished: %s", self._job["id"], error)

    async def _handle(self) -> Done | Fail | None:
        """Run the handler and return its outcome; None means that the job is to be released."""
        handler = self._handler
        if handler is None:
            return Fail("no_handler", f"This worker does not know the type {self._job['type']!r}", retryable=False)
        context = JobContext(self._job, self._reporter.buffer, self.stop, self._reporter.flush)
        task = asyncio.ensure_future(_start(handler, context))
        stopped = asyncio.Event()

        def on_stop() -> None:
            stopped.set()
            if _is_async(handler):
                task.cancel()

        self.stop.listen(on_stop)
        stop_wait = asyncio.create_task(stopped.wait())
        try:
            await asyncio.wait({task, stop_wait}, return_when=asyncio.FIRST_COMPLETED)
            # A thread cannot be killed: the handler gets this long to notice the stop, and is abandoned afterwards.
            await asyncio.wait({task}, timeout=self._grace_seconds)
        finally:
            stop_wait.cancel()
        if not task.done():
            logger.warning(
                "job %s: the handler did not stop within the grace period and was abandoned", self._job["id"]
            )
            return None
        return self._outcome(task)

    def _outcome(self, task: asyncio.Future[Any]) -> Done | Fail | None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            value = task.result()
            return value if isinstance(value, Done) else Done(value)
        if self.stop.reason is not None and not isinstance(error, Fail):
            return None
        if not isinstance(error, Fail):
            lines = traceback.format_exception(error)
            logger.warning("job %s: the handler raised\n%s", self._job["id"], "".join(lines))
            self._reporter.buffer.add_log({"level": "error", "message": "".join(lines)[-4000:]})
        return failure_of(error)

    async def _finish(self, outcome: Done | Fail | None) -> None:
        if self.stop.reason == "lost":
            return
        if self.stop.reason == "refused":
            outcome = Fail("report_refused", self.stop.detail, retryable=False)
        if isinstance(outcome, Done):
            outcome = await self._complete(outcome)
        elif outcome is None:
            await until_answered(lambda: self._client.release(self._job["id"], self._token))
        if isinstance(outcome, Fail):
            await self._fail(outcome)

    async def _complete(self, done: Done) -> Done | Fail:
        """Complete the job; return a failure instead if the result cannot be stored."""
        try:
            await until_answered(
                lambda: self._client.complete(self._job["id"], self._token, result=done.result, billing=done.billing)
            )
        except Unprocessable as error:
            return Fail("result_refused", error.detail, retryable=False)
        except (TypeError, ValueError) as error:
            return Fail("result_not_json", str(error), retryable=False)
        return done

    async def _fail(self, failure: Fail) -> None:
        await until_answered(
            lambda: self._client.fail(
                self._job["id"],
                self._token,
                code=failure.code,
                message=failure.message,
                retryable=failure.retryable,
                retry_after_seconds=failure.retry_after_seconds,
            )
        )


def _is_async(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004  asks whether it is a coroutine function, not whether it exists


def _start(handler: Handler, context: JobContext) -> Awaitable[Any]:
    return handler(context) if _is_async(handler) else _in_thread(handler, context)


def _in_thread(handler: Handler, context: JobContext) -> asyncio.Future[Any]:
    """Run a synchronous handler in a daemon thread, which cannot keep the process from exiting.

    asyncio joins the threads of its executors at exit, so one handler that does not stop would block the exit.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def resolve(value: object, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = handler(context)
        except BaseException as raised:  # noqa: BLE001  any exception is an outcome of the handler
            error = raised if isinstance(raised, Exception) else RuntimeError(repr(raised))
        # An abandoned handler may outlive its event loop.
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, value, error)

    threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name=f"job {context.job['id']}", daemon=True
    ).start()
    return future
