"""Claims of the same jobs, taken many at a time: one statement for all the workers who ask meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from app.db import claims, queues
from app.db.claims import Place, Taken
from app.db.connection import Connection
from app.domain.job import ClaimedJob, ClaimFilter, Idempotency, Lease
from app.live.group_writer import Applied
from app.live.moves import changes_of
from app.live.replays import recall_one, remember

MOST_JOBS_AT_ONCE = 200
"""Jobs that one claim may take, and rows that it may lock in each queue it takes from."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One worker's wish for some of the jobs that its filter names."""

    worker: str
    max_jobs: int
    lease_seconds: int | None
    limited: bool
    """Whether the project has limited queues, as far as is known."""
    idempotency: Idempotency | None = None


def jobs_of(request: ClaimRequest) -> int:
    """Say how many jobs a claim may take."""
    return request.max_jobs


async def apply_claims(
    connection: Connection, wanted: ClaimFilter, requests: Sequence[ClaimRequest]
) -> Applied[list[ClaimedJob]]:
    """Take jobs for all requests: the most urgent for the first of them, until there is nothing more."""
    outcomes: list[list[ClaimedJob]] = []
    places: list[Place] = []
    owners: dict[UUID, int] = {}
    for n, request in enumerate(requests):
        note = await recall_one(connection, wanted.project_id, request.idempotency)
        if note is not None:
            taken = await claims.select_taken(connection, wanted.project_id, note.body)
            outcomes.append([_claimed(one) for one in taken])
            continue
        outcomes.append([])
        mine = [Place(uuid4(), request.worker, request.lease_seconds) for _ in range(request.max_jobs)]
        owners.update((place.token, n) for place in mine)
        places += mine
    if not places:
        return Applied(outcomes)
    limited = any(request.limited for request in requests)
    free = await queues.lock_limited(connection, wanted) if limited else None
    taken = await claims.claim(connection, wanted, places, free=free)
    for one in taken:
        outcomes[owners[one.token]].append(_claimed(one))
    for request, mine_taken in zip(requests, outcomes, strict=True):
        if request.idempotency is not None and mine_taken and mine_taken[0].lease.token in owners:
            tokens = {str(one.job.id): str(one.lease.token) for one in mine_taken}
            await remember(connection, [(wanted.project_id, request.idempotency, tokens)])
    return Applied(outcomes, changes_of(one.moved for one in taken))


def _claimed(one: Taken) -> ClaimedJob:
    seconds = None if one.lease_seconds is None else float(one.lease_seconds)
    return ClaimedJob(one.job, Lease(one.token, seconds), one.checkpoint)
