"""Calls of workers about jobs they hold: report, complete, fail, release; valid while their token is the latest."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from app.core.batches.idempotency import bind
from app.db.engine import Database
from app.domain.errors import JobtrackError, LeaseLostError
from app.domain.idempotency import Idempotency
from app.domain.job import ClaimedJob
from app.domain.worker_call import Release, WorkerCall, WorkerOutcome
from app.live.group_writer import GroupWriter

log = structlog.get_logger(__name__)


class Leases:
    """Takes the calls of workers; many are applied in one transaction."""

    def __init__(
        self,
        database: Database,
        calls: GroupWriter[WorkerCall, WorkerOutcome],
        count_stale: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._calls = calls
        self._count_stale = count_stale

    async def submit(self, call: WorkerCall) -> WorkerOutcome:
        """Apply one call: a Report returns Reported, anything else the job; raises the reason if it was refused."""
        try:
            return await self._calls.submit(call)
        except LeaseLostError:
            self._count_stale(_call_name(call))
            raise

    async def submit_many(
        self, calls: Sequence[WorkerCall], *, idempotency: Idempotency | None = None
    ) -> list[WorkerOutcome | JobtrackError]:
        """Apply many calls of a project, each with its own outcome, in the order given."""
        if idempotency is not None and calls:
            await self._database.short(calls[0].project_id).write(bind, calls[0].project_id, idempotency, None)
            calls = [replace(call, idempotency=idempotency.of_row(n)) for n, call in enumerate(calls)]
        outcomes = await self._calls.submit_many(calls)
        for call, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, LeaseLostError):
                self._count_stale(_call_name(call))
        return outcomes

    async def give_back(self, claimed: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """Release jobs whose claimer left before it had the answer; their attempts are not counted.

        Returns those that could not be released for a reason that passes.
        """
        outcomes = await self.submit_many(
            [Release(project_id=c.job.project_id, job_id=c.job.id, token=c.lease.token) for c in claimed]
        )
        for c, outcome in zip(claimed, outcomes, strict=True):
            if not isinstance(outcome, JobtrackError):
                job = c.job
                log.info("gave back, for its claimer left", job_id=str(job.id), queue=job.queue, worker=job.worker)
        return [
            c
            for c, outcome in zip(claimed, outcomes, strict=True)
            if isinstance(outcome, JobtrackError) and outcome.retryable
        ]


def _call_name(call: WorkerCall) -> str:
    """Return a call's name as in the API: report, complete, fail or release."""
    return type(call).__name__.lower()
