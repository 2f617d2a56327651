"""The workers' side: claiming jobs under a lease, saying how they go, and taking back what nobody holds any more."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import structlog

from app.core.batches.changes import changes_of
from app.core.batches.claims import MOST_JOBS_AT_ONCE, ClaimRequest, apply_claims, job_count
from app.core.waiting import waiting
from app.db import limits, sweeps, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.errors import JobtrackError, LeaseLostError
from app.domain.job import ClaimedJob, ClaimFilter, Idempotency, Job, JobRef
from app.domain.states import JobEvent
from app.domain.worker_call import Release, Replayed, Reported, WorkerCall
from app.live.change_feed import Change
from app.live.claimers import Claimers
from app.live.group_writer import MAX_BATCH, GroupWriter
from app.live.read_batcher import ReadBatcher

log = structlog.get_logger(__name__)

RESCUE_BATCH = 500
LOOK_SECONDS = 1.0
"""No lease is shorter, so that one that is not known yet cannot run out before the next look."""
LIMITS_KNOWN_SECONDS = 1.0
MOST_PROJECTS_KNOWN = 10_000

SWEPT_BECAUSE = {
    JobEvent.LEASE_RAN_OUT: ("lease_expired", "The worker was not heard of before its lease ran out."),
    JobEvent.DEADLINE: ("deadline_exceeded", "The job's deadline passed before it was done."),
}
"""The error that a job keeps when nobody reported one."""


class Leases:
    """Hands jobs to workers and takes their word, as long as their token is the latest."""

    def __init__(
        self,
        database: Database,
        calls: GroupWriter[WorkerCall, Reported | Job | Replayed],
        claimers: Claimers,
        announce: Callable[[Iterable[Change]], None],
        count_stale: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._calls = calls
        self._claimers = claimers
        self._announce = announce
        self._count_stale = count_stale
        self._limited: ReadBatcher[UUID, bool] = ReadBatcher(database, limits.select_limited)
        self._limits: dict[UUID, tuple[bool, float]] = {}
        self._claims: dict[tuple[ClaimFilter, Idempotency | None], GroupWriter[ClaimRequest, list[ClaimedJob]]] = {}
        self._returning: set[asyncio.Task[object]] = set()

    async def claim(
        self,
        wanted: ClaimFilter,
        *,
        worker: str,
        max_jobs: int,
        lease_seconds: int | None,
        wait_seconds: float,
        idempotency: Idempotency | None = None,
    ) -> list[ClaimedJob]:
        """Take up to `max_jobs`, waiting up to `wait_seconds` for the first; empty if there was none, or on a drain.

        A repeat under the same `idempotency` gets the jobs of the first call that are still under its leases.
        """
        ends_at = asyncio.get_running_loop().time() + wait_seconds
        claimer = self._claimers.join(wanted)
        taken: list[ClaimedJob] = []
        try:
            while True:
                # Cleared before the look: a job offered during it wakes this claimer again.
                claimer.wakened.clear()
                limited = await self._has_limits(wanted.project_id)
                request = ClaimRequest(worker, max_jobs, lease_seconds, limited, idempotency)
                taken = await self._take(wanted, request)
                left = ends_at - asyncio.get_running_loop().time()
                if taken or left <= 0 or self._claimers.draining:
                    return taken
                try:
                    with waiting():
                        await asyncio.wait_for(claimer.wakened.wait(), left)
                except TimeoutError:
                    return []
        finally:
            self._claimers.leave(claimer)
            # A wake-up that was used, or that this claimer leaves behind, goes on to the next who waits for the same.
            if taken or claimer.wakened.is_set():
                self._claimers.wake_filters((wanted,))

    async def _take(self, wanted: ClaimFilter, request: ClaimRequest) -> list[ClaimedJob]:
        task = asyncio.ensure_future(self._take_once(wanted, request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The client left while its jobs were being taken: give them back rather than let their leases run out.
            returning = asyncio.ensure_future(self._give_back(task))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    async def _take_once(self, wanted: ClaimFilter, request: ClaimRequest) -> list[ClaimedJob]:
        # One for each filter that is being claimed by: they do not wait for each other. A claim with a key goes alone:
        # its key may be another's at the moment, or wrong, and that is not the others' business.
        kind = (wanted, request.idempotency)
        writer = self._claims.get(kind)
        if writer is None:
            writer = self._claims[kind] = GroupWriter(
                self._database,
                lambda connection, requests: apply_claims(connection, wanted, requests),
                self._announce,
                max_batch=MAX_BATCH if request.idempotency is None else 1,
                weigh=job_count,
                max_weight=MOST_JOBS_AT_ONCE,
            )
        try:
            return await writer.submit(request)
        finally:
            if writer.idle:
                self._claims.pop(kind, None)

    async def _has_limits(self, project_id: UUID) -> bool:
        """Say whether the project has limited queues, as of at most a second ago.

        Until this has heard of a new limit, a claim takes nothing from that queue, so that the limit is exact.
        """
        now = asyncio.get_running_loop().time()
        has, until = self._limits.get(project_id, (False, now))
        if until <= now:
            has = bool(await self._limited.get(project_id))
            self._limits[project_id] = (has, now + LIMITS_KNOWN_SECONDS)
            while len(self._limits) > MOST_PROJECTS_KNOWN:
                del self._limits[next(iter(self._limits))]
        return has

    async def _give_back(self, taking: asyncio.Future[list[ClaimedJob]]) -> None:
        taken = await taking
        await self.give_back(taken)

    async def settle(self) -> None:
        """Wait until every job whose claimer has left is given back; before the database is closed."""
        await asyncio.gather(*self._returning, return_exceptions=True)

    async def give_back(self, claimed: Sequence[ClaimedJob]) -> None:
        """Release jobs whose claimer left before it had the answer; their attempts are not counted."""
        await self.submit_many(
            [Release(project_id=c.job.project_id, job_id=c.job.id, token=c.lease.token) for c in claimed]
        )

    async def submit(self, call: WorkerCall) -> Reported | Job | Replayed:
        """Apply one call: a Report gives Reported, anything else the job; raises the reason if it was refused."""
        try:
            return await self._calls.submit(call)
        except LeaseLostError:
            self._count_stale(_word(call))
            raise

    async def submit_many(self, calls: Sequence[WorkerCall]) -> list[Reported | Job | Replayed | JobtrackError]:
        """Apply many calls, each with its own outcome, in the order given."""
        outcomes = await self._calls.submit_many(calls)
        for call, outcome in zip(calls, outcomes, strict=True):
            if isinstance(outcome, LeaseLostError):
                self._count_stale(_word(call))
        return outcomes

    async def rescue(self) -> float:
        """Take back jobs whose lease ran out, and end those whose deadline passed; gives the seconds until it is known
        to be worth another look, at most `LOOK_SECONDS`.
        """
        due = await self._database.read(lambda connection: sweeps.select_due(connection, RESCUE_BATCH))
        swept = sum([await self._sweep(event, found) for event, found in due.jobs.items() if found])
        if swept >= RESCUE_BATCH:
            return 0.0
        return LOOK_SECONDS if due.next_seconds is None else min(due.next_seconds, LOOK_SECONDS)

    async def _sweep(self, event: JobEvent, found: list[JobRef]) -> int:
        code, message = SWEPT_BECAUSE[event]
        moves = [
            Move(
                project_id=project_id,
                job_id=job_id,
                jitter=random.random(),  # noqa: S311 - jitter, not a secret
                error_code=code,
                error_message=message,
            )
            for project_id, job_id in found
        ]

        async def work(connection: Connection) -> list[Change]:
            await transitions.lock_in_order(connection, found)
            return changes_of(await transitions.move(connection, event, moves))

        changes = await self._database.write(work)
        self._announce(changes)
        if changes:
            log.info("swept", sweep=str(event), jobs=len(changes))
        return len(changes)


def _word(call: WorkerCall) -> str:
    """Name a call as the API does: report, complete, fail or release."""
    return type(call).__name__.lower()
