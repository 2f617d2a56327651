"""What a worker claims: with calls that wait for jobs, and with the ends of attempts."""

from __future__ import annotations

import dataclasses

from jobtrack_client.call import Call
from jobtrack_client.models import ClaimedJob, WorkersNextClaim
from jobtrack_client.patience import once
from jobtrack_client.worker_calls import claim

# The service's limit for one claim.
_MAX_CLAIM = 100
# For `ctx.todo`. Jobs without items cost nothing more; those that have some mostly need them.
_INCLUDED = ["items"]


@dataclasses.dataclass(frozen=True, slots=True)
class ClaimOptions:
    """Which jobs a worker claims, and for how long; see `Worker`."""

    worker: str
    types: list[str]
    queues: list[str]
    job_ids: list[str]
    lease_seconds: int | None
    wait_seconds: int

    def __str__(self) -> str:
        """Return what is claimed, as the worker's log says it."""
        if self.job_ids:
            return f"{len(self.job_ids)} jobs by id" if len(self.job_ids) > 1 else f"job {self.job_ids[0]}"
        return f"{', '.join(self.types)} from {', '.join(self.queues) or 'every queue'}"

    def call(self, places: int, *, waits: bool) -> Call[list[ClaimedJob]]:
        """Return the call that claims jobs for so many places; unless it `waits` for them, the answer comes at once."""
        call = claim(
            worker=self.worker,
            queues=self.queues,
            # A job claimed by id is ours whatever its type: without a handler it fails with a clear message.
            types=[] if self.job_ids else self.types,
            job_ids=self.job_ids,
            max=min(places, _MAX_CLAIM),
            lease_seconds=self.lease_seconds,
            wait=self.wait_seconds if waits else 0,
            include=_INCLUDED,
        )
        return once(call)

    def next(self, places: int) -> WorkersNextClaim | None:
        """Return what to claim with calls that free so many places, None where they can claim nothing."""
        if self.job_ids or self.lease_seconds is None:
            return None
        next_claim: WorkersNextClaim = {
            "worker": self.worker,
            "types": self.types,
            "max": min(places, _MAX_CLAIM),
            "lease_seconds": self.lease_seconds,
            "include": _INCLUDED,
        }
        if self.queues:
            next_claim["queues"] = self.queues
        return next_claim
