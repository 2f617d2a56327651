"""Claims of the same filter, applied many at a time: one statement for all the workers that are waiting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.batches.at_once import try_once
from app.core.batches.changes import changes_of
from app.core.batches.idempotency import load, store
from app.db import claims, held_claims, limits
from app.db.claims import Claimed, Slot
from app.db.connection import Connection
from app.db.engine import Database
from app.db.held_claims import HeldClaim
from app.domain.errors import UnavailableError
from app.domain.idempotency import Done, Idempotency
from app.domain.ids import id_of, new_token
from app.domain.job import ClaimedJob, ClaimFilter, Lease
from app.live.outcomes import Applied, Partly

MOST_JOBS_AT_ONCE = 200
"""Jobs that one claim may take, and rows that it may lock in each queue it takes from."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One worker's request for some of the jobs that its filter names."""

    worker: str
    max_jobs: int
    lease_seconds: int | None
    limited: bool
    """Whether the project has limited queues, as far as is known."""
    idempotency: Idempotency | None = None


def job_count(request: ClaimRequest) -> int:
    """Return how many jobs a claim may take."""
    return request.max_jobs


async def apply_claims(
    connection: Connection, claim_filter: ClaimFilter, requests: Sequence[ClaimRequest], max_size: int
) -> Applied[Done[list[ClaimedJob]] | None]:
    """Claim jobs for all requests, in their order: the first gets the most urgent jobs.

    No more is taken than one answer holds, lest the jobs of many answers be in memory at once. A request that gets
    nothing while there is more to take has the outcome None, and is to be submitted again. The repeat of a claim gets
    those of its jobs that are still held, with what is left of their leases.
    """
    project_id = claim_filter.project_id
    outcomes: list[Done[list[ClaimedJob]]] = []
    slots: list[Slot] = []
    owners: dict[UUID, int] = {}
    for n, request in enumerate(requests):
        earlier = await claimed_before(connection, project_id, request.idempotency, max_size)
        if earlier is not None:
            outcomes.append(Done(earlier, replayed=True))
            continue
        outcomes.append(Done([]))
        own_slots = _slots(request)
        owners.update((slot.token, n) for slot in own_slots)
        slots += own_slots
    if not slots:
        return Applied(outcomes)
    limited = any(request.limited for request in requests)
    free = await limits.lock_limited(connection, claim_filter) if limited else None
    claimed = await claims.claim(connection, claim_filter, slots, free=free, max_size=max_size)
    for job in claimed:
        outcomes[owners[job.token]].value.append(_claimed_job(job))
    for request, outcome in zip(requests, outcomes, strict=True):
        if request.idempotency is not None and outcome.value and not outcome.replayed:
            tokens = {str(job.job.id): str(job.lease.token) for job in outcome.value}
            await store(connection, [(project_id, request.idempotency, tokens)])
    return _applied(outcomes, owners, claimed)


async def apply_claims_at_once(
    database: Database, claim_filter: ClaimFilter, requests: Sequence[ClaimRequest], max_size: int
) -> Partly[Done[list[ClaimedJob]] | None]:
    """Claim jobs for all requests in one statement, which commits itself; nothing where a key has to be stored with
    them, or limited queues have to be locked and counted before.
    """
    if any(request.limited or request.idempotency is not None for request in requests):
        return Partly()
    slots = [(slot, n) for n, request in enumerate(requests) for slot in _slots(request)]
    owners = {slot.token: n for slot, n in slots}
    claimed = await try_once(
        database.write_at_once(claims.claim, claim_filter, [slot for slot, _ in slots], max_size=max_size)
    )
    if claimed is None:
        return Partly()
    if isinstance(claimed, UnavailableError):
        return Partly(dict.fromkeys(range(len(requests)), claimed))
    outcomes: list[Done[list[ClaimedJob]]] = [Done([]) for _ in requests]
    for job in claimed:
        outcomes[owners[job.token]].value.append(_claimed_job(job))
    applied = _applied(outcomes, owners, claimed)
    return Partly(dict(enumerate(applied.outcomes)), applied.changes)


def _slots(request: ClaimRequest) -> list[Slot]:
    return [Slot(new_token(), request.worker, request.lease_seconds) for _ in range(request.max_jobs)]


def _applied(
    outcomes: Sequence[Done[list[ClaimedJob]]], owners: Mapping[UUID, int], claimed: Sequence[Claimed]
) -> Applied[Done[list[ClaimedJob]] | None]:
    is_more = bool(claimed) and len(claimed) < claimed[0].found
    waiting = {n for n in owners.values() if is_more and not outcomes[n].value}
    return Applied(
        [None if n in waiting else outcome for n, outcome in enumerate(outcomes)],
        changes_of(job.moved for job in claimed),
    )


async def claimed_before(
    connection: Connection, project_id: UUID, key: Idempotency | None, max_size: int
) -> list[ClaimedJob] | None:
    """Return those of the jobs that a claim has taken under this key that are still held; None if it took none."""
    record = await load(connection, project_id, key)
    if record is None:
        return None
    taken = [HeldClaim(project_id, id_of(job_id), id_of(token)) for job_id, token in record.body.items()]
    still_held = await held_claims.select_still_held(connection, taken, max_size=max_size)
    return [_claimed_job(held) for held in still_held]


def _claimed_job(claimed: Claimed) -> ClaimedJob:
    return ClaimedJob(claimed.job, Lease(claimed.token, claimed.lease_seconds), claimed.checkpoint, claimed.size)
