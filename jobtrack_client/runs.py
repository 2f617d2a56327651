"""The jobs that a worker has in hand, each a task, and how they end with the worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from jobtrack_client.handler import Handler
from jobtrack_client.heartbeats import Heartbeats
from jobtrack_client.lost_handlers import LostHandlers
from jobtrack_client.models import ClaimedJob
from jobtrack_client.patience import logger
from jobtrack_client.run import Run, RunOptions
from jobtrack_client.run_limits import MAX_RUN_SECONDS
from jobtrack_client.submitter import Submitter

# How long a run may take, beyond its handler's grace period, to report the outcome to the service.
_FINISH_SECONDS = 5.0


class Runs:
    """The running jobs of a worker.

    Once `stopping` is set no more is started, and once `hurrying` is set no handler is waited for.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        lost: LostHandlers,
        options: RunOptions,
        max_run_seconds: Mapping[str, float | None],
    ) -> None:
        self.tasks: dict[asyncio.Task[None], Run] = {}
        self.stopping = asyncio.Event()
        self.hurrying = asyncio.Event()
        self._handlers = handlers
        self._lost = lost
        self._options = options
        self._max_run_seconds = max_run_seconds

    def start(self, jobs: list[ClaimedJob], submitter: Submitter, heartbeats: Heartbeats) -> None:
        """Run these jobs; give them back if the worker is stopping."""
        for job in jobs:
            limit = self._max_run_seconds.get(job["type"], MAX_RUN_SECONDS)
            handler = self._handlers.get(job["type"])
            run = Run(submitter, job, handler, heartbeats, self._options, max_run_seconds=limit)
            if self.stopping.is_set():
                run.stop.request("stopping", "The worker is stopping")
            task = asyncio.create_task(run.work(), name=f"job {job['id']}")
            self.tasks[task] = run
            task.add_done_callback(self._ended)

    async def end(self, grace_seconds: float) -> None:
        """Wait for the jobs so many seconds, then give the rest back; all at once when `hurrying` is set."""
        hurry = asyncio.create_task(self.hurrying.wait())
        try:
            await self._wait(grace_seconds, hurry)
            for run in self.tasks.values():
                run.stop.request("stopping", "The worker is stopping")
            await self._wait(self._options.grace_seconds + _FINISH_SECONDS, hurry)
        finally:
            hurry.cancel()
        if self.hurrying.is_set():
            for run in self.tasks.values():
                run.hurry()
            await self._wait(_FINISH_SECONDS)
        for task, run in list(self.tasks.items()):
            logger.warning("%s could not be given back, its lease will expire", run.name)
            task.cancel()

    async def _wait(self, seconds: float, hurry: asyncio.Task[Any] | None = None) -> None:
        """Wait until no job runs, for so many seconds, or until it hurries. An answer may bring jobs meanwhile."""
        end = time.monotonic() + seconds
        others: set[asyncio.Future[Any]] = set() if hurry is None else {hurry}
        while self.tasks and not (hurry and hurry.done()) and (left := end - time.monotonic()) > 0:
            await asyncio.wait({*self.tasks, *others}, timeout=left, return_when=asyncio.FIRST_COMPLETED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        handler = self.tasks.pop(task).abandoned
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s raised an unexpected error; its lease will expire", task.get_name(), exc_info=error)
        if handler is not None:
            # Who hurries knows that handlers are left behind.
            self._lost.add(task.get_name(), handler, silently=self.hurrying.is_set())
