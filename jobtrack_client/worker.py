"""The worker: claims jobs up to its concurrency, runs them, and stops gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jobtrack_client import discovery, program_end, terminal
from jobtrack_client.absence import Absence
from jobtrack_client.call import Call
from jobtrack_client.claim_options import ClaimOptions
from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import JobtrackError
from jobtrack_client.handlers import Handlers, handlers_of
from jobtrack_client.heartbeats import Heartbeats
from jobtrack_client.lease import interval_of
from jobtrack_client.lost_handlers import LostHandlers, WorkerStuckError
from jobtrack_client.models import ClaimedJob, WorkersNextClaim
from jobtrack_client.patience import LONGEST_PAUSE_SECONDS, logger, pause_seconds
from jobtrack_client.run import RunOptions
from jobtrack_client.run_limits import MAX_RUN_SECONDS, limits_by_type
from jobtrack_client.runs import Runs
from jobtrack_client.submitter import Submitter


class Worker:
    """Claims jobs and runs a handler for each, until `stop`.

        @job("nightly")
        def nightly(ctx): ...

        Worker(types=nightly).run_until_signal()

    Without a `client` it makes its own, which finds the address and the key as the command line does.

    `types` maps job types to handlers, or is what `job` has marked: functions, or modules that hold some. A handler
    receives a `JobContext`. It is a coroutine function, or a
    synchronous function, which runs in a thread. Its return value completes the job (return `Done` to add
    billing); `Fail` and whatever else it raises fail the attempt, and nothing else of the worker. The worker takes
    care of the lease, heartbeats, cancellation and reports; while a coroutine blocks the event loop, a thread sends the
    heartbeats.

    `queues` and `job_ids` restrict what is claimed; `concurrency` is the number of jobs that run at a time.
    `lease_seconds` (1-86,400) is how long the service waits for a heartbeat before it offers the job to another
    worker; None is for jobs of an `engine`, which are claimed by id. `grace_seconds` is how long a handler may take to
    stop when it is asked to. `claim_wait_seconds` (0-50) is how long a claim waits on the service for a job,
    `flush_seconds` the pause between two reports.

    `max_run_seconds` is how long a handler may run, by default 86,400 (24 hours): for all types, or a mapping from type
    to seconds, where a type that is not named has the default; None is for ever. After it the attempt fails with the
    code `run_too_long`. A coroutine is cancelled. A handler that does not end within the grace period (a thread cannot
    be ended, nor can a coroutine that blocks the event loop) gets no more heartbeats, its later calls are dropped, and
    until it ends it takes one of the `concurrency` places; when it was the last place, `run` raises `WorkerStuckError`.

    An update of an item that the service refuses is dropped, and the job's log says why; with `strict_items` it fails
    the job with the code `report_refused`.

    What it does goes to the logger `jobtrack_client`, and is printed on a terminal where the program has set up no
    logging. With `quiet` nothing is printed; False prints it wherever standard error goes.
    """

    def __init__(
        self,
        client: AsyncJobtrackClient | None = None,
        *,
        types: Handlers,
        queues: Sequence[str] = (),
        job_ids: Sequence[str] = (),
        concurrency: int = 1,
        lease_seconds: int | None = 30,
        name: str | None = None,
        grace_seconds: float = 10.0,
        claim_wait_seconds: int = 20,
        flush_seconds: float = 0.5,
        max_run_seconds: float | Mapping[str, float | None] | None = MAX_RUN_SECONDS,
        strict_items: bool = False,
        quiet: bool | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is the number of jobs that run at a time, at least 1, not {concurrency}")
        if not 0 <= grace_seconds < math.inf:
            raise ValueError(f"grace_seconds is a number of seconds, not {grace_seconds}")
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._client = client
        handlers = handlers_of(types)
        self._claims = ClaimOptions(
            self.name, list(handlers), list(queues), list(job_ids), lease_seconds, claim_wait_seconds
        )
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self._max_run_seconds = limits_by_type(max_run_seconds, handlers)
        self._quiet = quiet
        self._longest_pause = min(interval_of(lease_seconds), LONGEST_PAUSE_SECONDS)
        self._lost = LostHandlers(self.name, concurrency)
        options = RunOptions(lease_seconds, flush_seconds, grace_seconds, strict_items)
        self._runs = Runs(handlers, self._lost, options, self._max_run_seconds)

    def stop(self, *, now: bool = False) -> None:
        """Stop gracefully: claim no more jobs, let handlers end within the grace period, and release the rest.

        With `now` the jobs are released at once, whatever their handlers do; also after a first call without.
        """
        count = len(self._runs.tasks)
        if not self._runs.stopping.is_set() and not now:
            jobs, it = ("1 job has", "it") if count == 1 else (f"{count} jobs have", "them")
            again = f"; Ctrl-C again gives {it} back now" if self._lost.may_end_process else ""
            logger.info("stopping%s", f": {jobs} {self._grace_seconds:g} s{again}" if count else "")
        self._runs.stopping.set()
        if now:
            self._runs.hurrying.set()

    async def run(self) -> None:
        """Claim and run jobs until `stop`. Cancelling this stops as well, but without time to finish the running jobs.

        Raises the errors that no retry can mend: an API key that is missing, unknown or lacks the scope, an invalid
        claim; `WorkerStuckError` when no handler can be started any more.
        """
        with terminal.said(self._quiet):
            try:
                if self._client is not None:
                    await self._run(self._client)
                    return
                url = discovery.address()
                async with AsyncJobtrackClient(url, discovery.api_key(url)) as client:
                    await self._run(client)
            except JobtrackError as error:
                if not self._lost.may_end_process:
                    # Inside another program the error may be seen only when that ends and awaits its tasks.
                    logger.error("%s; the worker ends", str(error).rstrip("."))
                raise

    async def _run(self, client: AsyncJobtrackClient) -> None:
        logger.info("claiming %s at %s as %s", self._claims, client.url, self.name)
        grace = 0.0
        heartbeats = Heartbeats(
            client.synchronous,
            lease_seconds=self._lease_seconds,
            grace_seconds=self._grace_seconds,
            on_over=self._lost.note_blocked,
        )

        def start(jobs: list[ClaimedJob]) -> None:
            self._runs.start(jobs, submitter, heartbeats)

        submitter = Submitter(client, next_claim=self._next_claim, take=start)
        try:
            await self._claim_until_stopped(client, start)
            grace = self._grace_seconds
        finally:
            # Shielded: only a second cancellation abandons the jobs, until their leases expire.
            await asyncio.shield(asyncio.create_task(self._end(grace, submitter, heartbeats)))

    async def _end(self, grace_seconds: float, submitter: Submitter, heartbeats: Heartbeats) -> None:
        self._runs.stopping.set()
        await self._runs.end(grace_seconds)
        await submitter.close()
        await heartbeats.close()

    def run_until_signal(self) -> None:
        """Run as the main program until SIGINT or SIGTERM, then stop gracefully; a second signal stops `now`.

        A client that was passed is closed at the end. When the worker is stuck with a handler in its event loop, which
        nothing can end, it ends the process. What `run` raises is one sentence on standard error and `SystemExit`, with
        the exit codes of the command line.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("run_until_signal is for a program's main thread: elsewhere `await worker.run()`")
        try:
            asyncio.run(self._run_until_signal())
        except (JobtrackError, WorkerStuckError) as error:
            program_end.end(error, self._client.url if self._client else discovery.address())

    async def _run_until_signal(self) -> None:
        self._lost.may_end_process = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        try:
            async with contextlib.AsyncExitStack() as stack:
                if self._client is not None:
                    await stack.enter_async_context(self._client)
                await self.run()
        finally:
            # Jobs that were given back in a hurry leave handlers behind, and that is no failure.
            self._lost.leave(0 if self._runs.hurrying.is_set() else 1)

    def _on_signal(self) -> None:
        self.stop(now=self._runs.stopping.is_set())

    async def _claim_until_stopped(
        self, client: AsyncJobtrackClient, start: Callable[[list[ClaimedJob]], object]
    ) -> None:
        stopped = asyncio.create_task(self._runs.stopping.wait())
        absence = Absence(self._longest_pause)
        try:
            while not stopped.done():
                self._lost.check()
                free = self._concurrency - len(self._runs.tasks) - len(self._lost)
                if free <= 0:
                    ends: set[asyncio.Future[Any]] = {stopped, *self._runs.tasks, *self._lost.futures}
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                    continue
                began = time.monotonic()
                try:
                    jobs = await self._claim_unless(stopped, client, self._claims.call(free, waits=not absence.lasts))
                except JobtrackError as error:
                    await self._pause(absence.pause_after(error))
                    continue
                if not stopped.done():
                    absence.ended(client.url)
                start(jobs)
                if not jobs and time.monotonic() - began < min(1, self._claims.wait_seconds):
                    # The response came early, as from a service that is shutting down: do not hammer it.
                    await self._pause(pause_seconds(1, self._longest_pause))
        finally:
            stopped.cancel()

    async def _claim_unless(
        self, stopped: asyncio.Task[bool], client: AsyncJobtrackClient, claim: Call[list[ClaimedJob]]
    ) -> list[ClaimedJob]:
        """Claim jobs, but give up when the stop is requested: the service takes back jobs that it cannot hand over."""
        claiming = asyncio.create_task(client.send(claim))
        try:
            await asyncio.wait({stopped, claiming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            claiming.cancel()
            await asyncio.wait({claiming})
        return [] if claiming.cancelled() else claiming.result()

    def _next_claim(self, places: int) -> WorkersNextClaim | None:
        """Return what to claim with calls that free so many places; what is free besides is claimed by waiting."""
        return None if self._runs.stopping.is_set() else self._claims.next(places)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next claim, or until the stop is requested."""
        try:
            async with asyncio.timeout(seconds):
                await self._runs.stopping.wait()
        except TimeoutError:
            pass
