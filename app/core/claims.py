"""Claims: leases of jobs for workers, with a wait for the first job if there is none yet."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias
from uuid import UUID

import structlog

from app.core.access import key_ended
from app.core.batches.claims import (
    MOST_JOBS_AT_ONCE,
    ClaimRequest,
    apply_claims,
    apply_claims_at_once,
    claimed_before,
    job_count,
)
from app.core.claimed_items import ClaimedItems
from app.core.leases import Leases
from app.core.wait_clock import timed_wait
from app.db import key_lookups, limits
from app.db.engine import Database
from app.domain.idempotency import Done, Idempotency
from app.domain.job import ClaimedJob, ClaimFilter
from app.domain.principal import KeyRef
from app.live.askers import Askers
from app.live.change_feed import Change
from app.live.group_writer import MAX_BATCH, GroupWriter
from app.live.idle_claims import IdleClaims
from app.live.loop import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from app.live.read_batcher import ReadBatcher

log = structlog.get_logger(__name__)

LIMITS_KNOWN_SECONDS = 1.0
MOST_PROJECTS_KNOWN = 10_000

_Writer: TypeAlias = GroupWriter[ClaimRequest, Done[list[ClaimedJob]] | None]


class Claims:
    """Leases jobs to workers."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        idle: IdleClaims,
        askers: Askers,
        announce: Callable[[Iterable[Change]], None],
        *,
        max_answer_bytes: int,
    ) -> None:
        self._database = database
        self._leases = leases
        self._idle = idle
        self._askers = askers
        self._announce = announce
        self._max_answer_bytes = max_answer_bytes
        self._items = ClaimedItems(database, max_answer_bytes=max_answer_bytes)
        self._limited: ReadBatcher[UUID, bool] = ReadBatcher(database, limits.select_limited)
        self._valid: ReadBatcher[KeyRef, float | None] = ReadBatcher(database, key_lookups.select_valid)
        self._limits: dict[UUID, tuple[bool, float]] = {}
        self._writers: dict[tuple[ClaimFilter, Idempotency | None], _Writer] = {}
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
        key: KeyRef | None = None,
        client: str | None = None,
        with_items: bool = False,
    ) -> Done[list[ClaimedJob]]:
        """Take up to `max_jobs`, waiting up to `wait_seconds` for the first; empty if there was none, or on a drain.

        There are fewer where they would be more than an answer holds; one there always is. `with_items` adds the first
        of their unfinished items.

        A repeat under the same `idempotency` gets, at once, the jobs of the first call that are still under its leases.
        `key` is the caller's: it is checked again after each wait, and UnauthorizedError is raised if it has ended.
        `client` is what the caller says about its program.
        """
        ends_at = asyncio.get_running_loop().time() + wait_seconds
        idle = self._idle.join(claim_filter)
        asking = self._askers.came(claim_filter, worker, client)
        taken: Done[list[ClaimedJob]] = Done([])
        try:
            while True:
                # Before the query: a job that becomes claimable during it wakes this claim again.
                self._idle.listen(idle)
                limited = await self._has_limits(claim_filter.project_id)
                request = ClaimRequest(worker, max_jobs, lease_seconds, limited, idempotency)
                taken = await self._take(claim_filter, request, with_items)
                left = ends_at - asyncio.get_running_loop().time()
                if taken.value or taken.replayed or left <= 0 or self._idle.draining:
                    return taken
                try:
                    # Not `wait_for`, which in Python 3.11 may swallow the cancellation by a key that has ended.
                    with timed_wait():
                        async with asyncio.timeout(left):
                            await idle.woken.wait()
                except TimeoutError:
                    return Done([])
                if key is not None:
                    await self._check(key)
        finally:
            self._idle.leave(idle)
            self._askers.left(asking)
            # A wake-up that was used, or that this claim no longer needs, goes to the next claim of the same filter.
            if taken.value or idle.woken.is_set():
                self._idle.wake_filters((claim_filter,))

    async def claimed_before(
        self, project_id: UUID, idempotency: Idempotency, *, with_items: bool = False
    ) -> list[ClaimedJob]:
        """Return those of the jobs that a claim has taken under this key that are still under its leases."""
        database = self._database.short(project_id)
        claimed = await database.read(claimed_before, project_id, idempotency, self._max_answer_bytes) or []
        return await self._items.add(project_id, claimed) if with_items else claimed

    async def _check(self, key: KeyRef) -> None:
        """Check a key after the job that woke its claim was there: the notification of its end may be slower than the
        sweep that found the job. One query for all claims that are woken together.
        """
        if key not in await self._valid.get_many((key,)):
            raise key_ended()

    async def wait_for_returns(self) -> None:
        """Wait until every job whose claimer has disconnected is released; called before the database is closed."""
        await asyncio.gather(*self._returning, return_exceptions=True)

    async def _take(self, claim_filter: ClaimFilter, request: ClaimRequest, with_items: bool) -> Done[list[ClaimedJob]]:
        task = asyncio.ensure_future(self._take_with(claim_filter, request, with_items))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # The client left while its jobs were being claimed: release them rather than let the leases run out.
            returning = asyncio.ensure_future(self._give_back(task))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            raise

    async def _give_back(self, taking: asyncio.Future[Done[list[ClaimedJob]]]) -> None:
        """Repeat until it is done: a job that is not given back waits for its lease's end, with nobody at it."""
        try:
            taken = (await taking).value
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

    async def _take_with(
        self, claim_filter: ClaimFilter, request: ClaimRequest, with_items: bool
    ) -> Done[list[ClaimedJob]]:
        taken = await self._take_once(claim_filter, request)
        if with_items:
            # In the task that a client which leaves does not end: its jobs are given back with the others.
            claimed = await self._items.add(claim_filter.project_id, taken.value)
            return Done(claimed, replayed=taken.replayed)
        return taken

    async def _take_once(self, claim_filter: ClaimFilter, request: ClaimRequest) -> Done[list[ClaimedJob]]:
        # A writer for each filter that is being claimed by: they do not wait for each other. A claim with a key goes
        # alone: its key may be another's at the moment, or wrong, and that is not the others' business.
        kind = (claim_filter, request.idempotency)
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = GroupWriter(
                self._database.short(claim_filter.project_id),
                lambda connection, requests: apply_claims(connection, claim_filter, requests, self._max_answer_bytes),
                self._announce,
                at_once=lambda database, requests: apply_claims_at_once(
                    database, claim_filter, requests, self._max_answer_bytes
                ),
                max_batch=MAX_BATCH if request.idempotency is None else 1,
                row_count=job_count,
                max_rows=MOST_JOBS_AT_ONCE,
            )
        try:
            # Again as long as there is more: others had their turn, and each look hands out one job at least.
            while (taken := await writer.submit(request)) is None:
                pass
            return taken
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
