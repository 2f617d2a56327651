"""Claims: leases of jobs for workers, with a wait for the first job if there is none yet."""

import asyncio
from collections.abc import Callable, Iterable
from uuid import UUID

import structlog

from app.core.batches.claims import MOST_JOBS_AT_ONCE, ClaimRequest, apply_claims, job_count
from app.core.leases import Leases
from app.core.wait_clock import timed_wait
from app.db import limits
from app.db.engine import Database
from app.domain.job import ClaimedJob, ClaimFilter, Idempotency
from app.live.change_feed import Change
from app.live.group_writer import MAX_BATCH, GroupWriter
from app.live.idle_claims import IdleClaims
from app.live.loop import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from app.live.read_batcher import ReadBatcher

log = structlog.get_logger(__name__)

LIMITS_KNOWN_SECONDS = 1.0
MOST_PROJECTS_KNOWN = 10_000


class Claims:
    """Leases jobs to workers."""

    def __init__(
        self, database: Database, leases: Leases, idle: IdleClaims, announce: Callable[[Iterable[Change]], None]
    ) -> None:
        self._database = database
        self._leases = leases
        self._idle = idle
        self._announce = announce
        self._limited: ReadBatcher[UUID, bool] = ReadBatcher(database, limits.select_limited)
        self._limits: dict[UUID, tuple[bool, float]] = {}
        self._writers: dict[tuple[ClaimFilter, Idempotency | None], GroupWriter[ClaimRequest, list[ClaimedJob]]] = {}
        self._returning: set[asyncio.Task[object]] = set()

    async def claim(
        self,
        claim_filter: ClaimFilter,
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
        idle = self._idle.join(claim_filter)
        taken: list[ClaimedJob] = []
        try:
            while True:
                # Cleared before the query: a job that becomes claimable during it wakes this claim again.
                idle.woken.clear()
                limited = await self._has_limits(claim_filter.project_id)
                request = ClaimRequest(worker, max_jobs, lease_seconds, limited, idempotency)
                taken = await self._take(claim_filter, request)
                left = ends_at - asyncio.get_running_loop().time()
                if taken or left <= 0 or self._idle.draining:
                    return taken
                try:
                    with timed_wait():
                        await asyncio.wait_for(idle.woken.wait(), left)
                except TimeoutError:
                    return []
        finally:
            self._idle.leave(idle)
            # A wake-up that was used, or that this claim no longer needs, goes to the next claim of the same filter.
            if taken or idle.woken.is_set():
                self._idle.wake_filters((claim_filter,))

    async def wait_for_returns(self) -> None:
        """Wait until every job whose claimer has disconnected is released; called before the database is closed."""
        await asyncio.gather(*self._returning, return_exceptions=True)

    async def _take(self, claim_filter: ClaimFilter, request: ClaimRequest) -> list[ClaimedJob]:
        task = asyncio.ensure_future(self._take_once(claim_filter, request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The client left while its jobs were being claimed: release them rather than let the leases run out.
            returning = asyncio.ensure_future(self._give_back(task))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    async def _give_back(self, taking: asyncio.Future[list[ClaimedJob]]) -> None:
        """Repeat until it is done: a job that is not given back waits for its lease's end, with nobody at it."""
        try:
            taken = await taking
        except Exception:  # noqa: BLE001 - nothing was taken, or nobody knows what
            return
        pause = FIRST_PAUSE_SECONDS
        while taken:
            try:
                taken = await self._leases.give_back(taken)
            except Exception as error:  # noqa: BLE001 - whatever it is, the jobs are still to be given back
                log.warning("jobs of a client that left could not be given back yet", error=repr(error))
            if taken and self._idle.draining:
                log.warning("jobs of a client that left wait for their leases' ends", jobs=len(taken))
                return
            if taken:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _take_once(self, claim_filter: ClaimFilter, request: ClaimRequest) -> list[ClaimedJob]:
        # A writer for each filter that is being claimed by: they do not wait for each other. A claim with a key goes
        # alone: its key may be another's at the moment, or wrong, and that is not the others' business.
        kind = (claim_filter, request.idempotency)
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = GroupWriter(
                self._database,
                lambda connection, requests: apply_claims(connection, claim_filter, requests),
                self._announce,
                max_batch=MAX_BATCH if request.idempotency is None else 1,
                row_count=job_count,
                max_rows=MOST_JOBS_AT_ONCE,
            )
        try:
            return await writer.submit(request)
        finally:
            if writer.idle:
                self._writers.pop(kind, None)

    async def _has_limits(self, project_id: UUID) -> bool:
        """Whether the project has limited queues, as of at most a second ago.

        Until this has heard of a new limit, a claim takes nothing from that queue, so that the limit is exact.
        """
        now = asyncio.get_running_loop().time()
        has_limits, until = self._limits.get(project_id, (False, now))
        if until <= now:
            has_limits = bool(await self._limited.get(project_id))
            self._limits[project_id] = (has_limits, now + LIMITS_KNOWN_SECONDS)
            while len(self._limits) > MOST_PROJECTS_KNOWN:
                del self._limits[next(iter(self._limits))]
        return has_limits
