"""The worker: claims jobs up to its concurrency, runs them, and stops gracefully."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import JobtrackError
from jobtrack_client.handler import Handler
from jobtrack_client.heartbeats import Heartbeats
from jobtrack_client.lease import interval_of
from jobtrack_client.lost_handlers import LostHandlers
from jobtrack_client.models import ClaimedJob
from jobtrack_client.patience import LONGEST_PAUSE_SECONDS, logger, may_pass, once, pause_seconds
from jobtrack_client.run import Run
from jobtrack_client.worker_calls import claim

# The service's limit for one claim.
_MAX_CLAIM = 100
# How long a run may take, beyond its handler's grace period, to report the outcome to the service.
_FINISH_SECONDS = 5.0
MAX_RUN_SECONDS = 86_400.0


class Worker:
    """Claims jobs and runs a handler for each, until `stop`.

    `types` maps job types to handlers. A handler receives a `JobContext`. It is a coroutine function, or a
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
    """

    def __init__(
        self,
        client: AsyncJobtrackClient,
        *,
        types: Mapping[str, Handler],
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
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self._client = client
        self._handlers = dict(types)
        self._queues = list(queues)
        self._job_ids = list(job_ids)
        self._concurrency = concurrency
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self._claim_wait_seconds = claim_wait_seconds
        self._flush_seconds = flush_seconds
        self._max_run_seconds = _by_type(max_run_seconds, self._handlers)
        self._strict_items = strict_items
        self._longest_pause = min(interval_of(lease_seconds), LONGEST_PAUSE_SECONDS)
        self._stopping = asyncio.Event()
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._lost = LostHandlers(self.name, concurrency)

    def stop(self) -> None:
        """Stop gracefully: claim no more jobs, let handlers end within the grace period, and release the rest."""
        self._stopping.set()

    async def run(self) -> None:
        """Claim and run jobs until `stop`. Cancelling this stops as well, but without time to finish the running jobs.

        Raises the errors that no retry can mend: an API key that is unknown or lacks the scope, an invalid claim;
        `WorkerStuckError` when no handler can be started any more.
        """
        grace = 0.0
        heartbeats = Heartbeats(
            self._client.synchronous,
            lease_seconds=self._lease_seconds,
            grace_seconds=self._grace_seconds,
            on_over=self._lost.note_blocked,
        )
        try:
            await self._claim_until_stopped(heartbeats)
            grace = self._grace_seconds
        finally:
            # Shielded: only a second cancellation abandons the jobs, until their leases expire.
            await asyncio.shield(asyncio.create_task(self._end_runs(grace, heartbeats)))

    def run_until_signal(self) -> None:
        """Run as the main program until SIGINT or SIGTERM, then stop gracefully.

        When the worker is stuck with a handler in its event loop, which nothing can end, it ends the process.
        """
        asyncio.run(self._run_until_signal())

    async def _run_until_signal(self) -> None:
        self._lost.may_end_process = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            async with self._client:
                await self.run()
        finally:
            self._lost.leave()

    async def _claim_until_stopped(self, heartbeats: Heartbeats) -> None:
        stopped = asyncio.create_task(self._stopping.wait())
        failures = 0
        try:
            while not stopped.done():
                self._lost.check()
                if len(self._runs) + len(self._lost) >= self._concurrency:
                    ends: set[asyncio.Future[Any]] = {stopped, *self._runs, *self._lost.futures}
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                    continue
                began = time.monotonic()
                try:
                    jobs = await self._claim_unless(stopped)
                except JobtrackError as error:
                    if not may_pass(error):
                        raise
                    failures += 1
                    logger.warning("%s; trying again", error)
                    await self._pause(failures)
                    continue
                failures = 0
                for job in jobs:
                    self._start(job, heartbeats)
                if not jobs and time.monotonic() - began < min(1, self._claim_wait_seconds):
                    # The response came early, as from a service that is shutting down: do not hammer it.
                    await self._pause(1)
        finally:
            stopped.cancel()

    async def _claim_unless(self, stopped: asyncio.Task[bool]) -> list[ClaimedJob]:
        """Claim jobs, but give up when the stop is requested: the service takes back jobs that it cannot hand over."""
        claiming = asyncio.create_task(self._claim())
        try:
            await asyncio.wait({stopped, claiming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            claiming.cancel()
            await asyncio.wait({claiming})
        return [] if claiming.cancelled() else claiming.result()

    async def _claim(self) -> list[ClaimedJob]:
        free = min(self._concurrency - len(self._runs) - len(self._lost), _MAX_CLAIM)
        call = claim(
            worker=self.name,
            queues=self._queues,
            # A job claimed by id is ours whatever its type: without a handler it fails with a clear message.
            types=[] if self._job_ids else list(self._handlers),
            job_ids=self._job_ids,
            max=free,
            lease_seconds=self._lease_seconds,
            wait=self._claim_wait_seconds,
            # For `ctx.todo`. Jobs without items cost nothing more; those that have some mostly need them.
            include=["items"],
        )
        return await self._client.send(once(call))

    def _start(self, job: ClaimedJob, heartbeats: Heartbeats) -> None:
        run = Run(
            self._client,
            job,
            self._handlers.get(job["type"]),
            heartbeats,
            lease_seconds=self._lease_seconds,
            max_run_seconds=self._max_run_seconds.get(job["type"], MAX_RUN_SECONDS),
            flush_seconds=self._flush_seconds,
            grace_seconds=self._grace_seconds,
            strict_items=self._strict_items,
        )
        task = asyncio.create_task(run.work(), name=f"job {job['id']}")
        self._runs[task] = run
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        handler = self._runs.pop(task).abandoned
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s raised an unexpected error; its lease will expire", task.get_name(), exc_info=error)
        if handler is not None:
            self._lost.add(task.get_name(), handler)

    async def _end_runs(self, grace_seconds: float, heartbeats: Heartbeats) -> None:
        if self._runs and grace_seconds:
            await asyncio.wait(set(self._runs), timeout=grace_seconds)
        for run in self._runs.values():
            run.stop.request("stopping", "The worker is stopping")
        if self._runs:
            await asyncio.wait(set(self._runs), timeout=self._grace_seconds + _FINISH_SECONDS)
        for task in list(self._runs):
            task.cancel()
        await heartbeats.close()

    async def _pause(self, failures: int) -> None:
        """Wait before the next claim, or until the stop is requested."""
        try:
            async with asyncio.timeout(pause_seconds(failures, self._longest_pause)):
                await self._stopping.wait()
        except TimeoutError:
            pass


def _by_type(seconds: float | Mapping[str, float | None] | None, types: Collection[str]) -> dict[str, float | None]:
    """Return the limit of each type. Raises `ValueError` for one that is not a positive number of seconds."""
    if isinstance(seconds, Mapping) and (unknown := seconds.keys() - set(types)):
        raise ValueError(f"max_run_seconds names types without a handler: {', '.join(sorted(unknown))}")
    limits = {name: seconds.get(name, MAX_RUN_SECONDS) if isinstance(seconds, Mapping) else seconds for name in types}
    for limit in limits.values():
        if limit is not None and not 0 < limit < math.inf:
            raise ValueError(f"max_run_seconds is a positive number of seconds, or None for no limit, not {limit!r}")
    return limits
