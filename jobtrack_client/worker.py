"""The worker: claims jobs up to its concurrency, runs them, and stops gracefully."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Mapping, Sequence

from jobtrack_client.client import AsyncJobtrackClient
from jobtrack_client.errors import Unavailable
from jobtrack_client.models import ClaimedJob
from jobtrack_client.run import Handler, Run

# The service's limit for one claim.
_MAX_CLAIM = 100
# How long a run may take, beyond its handler's grace period, to report the outcome to the service.
_FINISH_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 10.0

logger = logging.getLogger("jobtrack_client")


class Worker:
    """Claims jobs and runs a handler for each, until `stop`.

    `types` maps job types to handlers. A handler receives a `JobContext`. It is a coroutine function, or a
    synchronous function, which runs in a thread. Its return value completes the job (return `Done` to add
    billing); `Fail` and other exceptions fail the attempt. The worker takes care of the lease, heartbeats,
    cancellation and reports.

    `queues` and `job_ids` restrict what is claimed; `concurrency` is the number of jobs that run at a time.
    `lease_seconds` is how long the service waits for a heartbeat before it offers the job to another worker;
    None is for jobs of an `engine`, which are claimed by id. `grace_seconds` is how long a handler may take to
    stop when it is asked to. `claim_wait_seconds` (0-50) is how long a claim waits on the service for a job,
    `flush_seconds` the pause between two reports.
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
        self._stopping = asyncio.Event()
        self._runs: dict[asyncio.Task[None], Run] = {}

    def stop(self) -> None:
        """Stop gracefully: claim no more jobs, let handlers end within the grace period, and release the rest."""
        self._stopping.set()

    async def run(self) -> None:
        """Claim and run jobs until `stop`. Cancelling this stops as well, but without time to finish the running jobs.

        Raises the errors that no retry can mend: an API key that is unknown or lacks the scope, an invalid claim.
        """
        grace = 0.0
        try:
            await self._claim_until_stopped()
            grace = self._grace_seconds
        finally:
            # Shielded: only a second cancellation abandons the jobs, until their leases expire.
            await asyncio.shield(asyncio.create_task(self._end_runs(grace)))

    def run_until_signal(self) -> None:
        """Run as the main program until SIGINT or SIGTERM, then stop gracefully."""
        asyncio.run(self._run_until_signal())

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        async with self._client:
            await self.run()

    async def _claim_until_stopped(self) -> None:
        stopped = asyncio.create_task(self._stopping.wait())
        failures = 0
        try:
            while not stopped.done():
                if len(self._runs) >= self._concurrency:
                    await asyncio.wait({stopped, *self._runs}, return_when=asyncio.FIRST_COMPLETED)
                    continue
                began = time.monotonic()
                try:
                    jobs = await self._claim_unless(stopped)
                except Unavailable as error:
                    failures += 1
                    logger.warning("%s; trying again", error)
                    await self._pause(failures)
                    continue
                failures = 0
                for job in jobs:
                    self._start(job)
                if not jobs and time.monotonic() - began < min(1, self._claim_wait_seconds):
                    # The response came early, as from a service that is shutting down: do not hammer it.
                    await self._pause(1)
        finally:
            stopped.cancel()

    async def _claim_unless(self, stopped: asyncio.Task[bool]) -> list[ClaimedJob]:
        """Claim jobs, but give up when the stop is requested: the service takes back jobs that it cannot hand over."""
        claim = asyncio.create_task(self._claim())
        try:
            await asyncio.wait({stopped, claim}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            claim.cancel()
            await asyncio.wait({claim})
        return [] if claim.cancelled() else claim.result()

    async def _claim(self) -> list[ClaimedJob]:
        free = min(self._concurrency - len(self._runs), _MAX_CLAIM)
        return await self._client.claim(
            worker=self.name,
            queues=self._queues,
            # A job claimed by id is ours whatever its type: without a handler it fails with a clear message.
            types=[] if self._job_ids else list(self._handlers),
            job_ids=self._job_ids,
            max=free,
            lease_seconds=self._lease_seconds,
            wait=self._claim_wait_seconds,
        )

    def _start(self, job: ClaimedJob) -> None:
        run = Run(
            self._client,
            job,
            self._handlers.get(job["type"]),
            lease_seconds=self._lease_seconds,
            flush_seconds=self._flush_seconds,
            grace_seconds=self._grace_seconds,
        )
        task = asyncio.create_task(run.work(), name=f"job {job['id']}")
        self._runs[task] = run
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s raised an unexpected error; its lease will expire", task.get_name(), exc_info=error)

    async def _end_runs(self, grace_seconds: float) -> None:
        if self._runs and grace_seconds:
            await asyncio.wait(set(self._runs), timeout=grace_seconds)
        for run in self._runs.values():
            run.stop.request("stopping", "The worker is stopping")
        if self._runs:
            await asyncio.wait(set(self._runs), timeout=self._grace_seconds + _FINISH_SECONDS)
        for task in list(self._runs):
            task.cancel()

    async def _pause(self, failures: int) -> None:
        """Wait before the next claim, or until the stop is requested."""
        seconds = min(0.5 * 2**failures, _LONGEST_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(random.uniform(seconds / 2, seconds)):  # noqa: S311  spreads load, keeps no secret
                await self._stopping.wait()
        except TimeoutError:
            pass
