"""New jobs, inserted many at a time with their items, history and idempotency records, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from app.core.batches.idempotency import reused_key_error
from app.db import idempotency, inputs, items, jobs, new_jobs
from app.db.connection import Connection
from app.db.idempotency import CreationRecord
from app.db.items import NewItemRow
from app.db.new_jobs import Creation
from app.domain.errors import InvalidError, JobtrackError
from app.domain.job import Created, Idempotency, Job, JobRef, Lease
from app.domain.states import JobState
from app.live.change_feed import Change
from app.live.group_writer import Applied
from app.live.idle_claims import Offer


def row_count(request: "CreateRequest") -> int:
    """Return how many rows a new job is, roughly."""
    return 1 + len(request.creation.job.items) + len(request.creation.job.labels)


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A job to make, once per idempotency key."""

    creation: Creation
    idempotency: Idempotency | None = None

    @property
    def key(self) -> JobRef:
        """Project and job, as every statement names them."""
        return JobRef(self.creation.project_id, self.creation.job.id)

    @property
    def record(self) -> CreationRecord | None:
        """The record that stands for this call's key."""
        if self.idempotency is None:
            return None
        project_id, job_id = self.key
        return CreationRecord(
            project_id=project_id,
            route=self.idempotency.route,
            key=self.idempotency.key,
            fingerprint=self.idempotency.fingerprint,
            job_id=job_id,
        )


async def apply_creations(connection: Connection, requests: Sequence[CreateRequest]) -> Applied[Created]:
    """Make the jobs whose key is new, and answer the others with what their key made before."""
    earlier = await reserve_keys(connection, [request.record for request in requests if request.record is not None])
    fresh = [request for request in requests if request.key[1] not in earlier]
    made = await insert_jobs(connection, [request.creation for request in fresh]) if fresh else {}
    replays = await _read_replays(connection, earlier)
    outcomes: list[Created | JobtrackError] = []
    changes: list[Change] = []
    for request in requests:
        creation = request.creation
        job = made.get(request.key[1])
        if job is not None:
            lease = None
            if creation.token is not None and creation.job.claim is not None:
                seconds = creation.job.claim.lease_seconds
                lease = Lease(creation.token, None if seconds is None else float(seconds))
            outcomes.append(Created(job, lease))
            offer = None
            if job.state is JobState.PENDING and job.engine is None and job.scheduled_at <= job.created_at:
                offer = Offer(job.project_id, job.queue, job.type)
            changes.append(Change(request.key, offer, ("created",) if lease is None else ("created", "claimed")))
        else:
            outcomes.append(_replayed(request, earlier[request.key[1]], replays))
    return Applied(outcomes, changes)


async def reserve_keys(connection: Connection, records: Sequence[CreationRecord]) -> dict[UUID, CreationRecord]:
    """Reserve the keys that are free; returns the earlier records of the others, by the job that was to be created."""
    if not records:
        return {}
    taken = await idempotency.reserve(connection, records)
    late = [record for record in records if record.job_id not in taken]
    if not late:
        return {}
    found = await idempotency.select_creations(connection, [record.record_key for record in late])
    return {record.job_id: found[record.record_key] for record in late}


async def insert_jobs(connection: Connection, creations: Sequence[Creation]) -> dict[UUID, Job]:
    """Insert jobs with the items they bring; returns them as they are now, by id."""
    made = await new_jobs.insert(connection, creations)
    placed = [
        NewItemRow(
            project_id=creation.project_id,
            job_id=creation.job.id,
            position=position,
            key=item.key,
            name=item.name,
            uri=item.uri,
            size_bytes=item.size_bytes,
        )
        for creation in creations
        for position, item in enumerate(creation.job.items, start=1)
    ]
    if placed:
        await items.insert_new(connection, placed)
    brought = [(JobRef(c.project_id, c.job.id), c.job.input) for c in creations if c.job.input is not None]
    if brought:
        await inputs.attach(connection, brought)
    return made


async def _read_replays(connection: Connection, earlier: dict[UUID, CreationRecord]) -> dict[JobRef, Created]:
    keys = list({JobRef(record.project_id, record.job_id) for record in earlier.values()})
    if not keys:
        return {}
    read = await jobs.select_with_documents(connection, keys)
    fences = await jobs.select_fences(connection, keys)
    # A job created already claimed must hand its token to the caller whose first answer was lost.
    return {
        key: Created(
            job,
            Lease(token, None) if _untouched(job) and (token := fences[key].token) else None,
            replayed=True,
        )
        for key, job in read.items()
    }


def _untouched(job: Job) -> bool:
    """Whether a job is still as its creator claimed it: any later holder's token is none of the creator's business."""
    return job.state is JobState.DISPATCHED and job.status_changed_at == job.created_at


def _replayed(
    request: CreateRequest, record: CreationRecord, replays: dict[JobRef, Created]
) -> Created | JobtrackError:
    if request.idempotency is None or record.fingerprint != request.idempotency.fingerprint:
        return reused_key_error()
    created = replays.get(JobRef(record.project_id, record.job_id))
    if created is None:
        return InvalidError("The job that this Idempotency-Key made was deleted; use a new key.")
    # Only the one who created the job already claimed gets its lease again, not the creator of a job others work on.
    claim = request.creation.job.claim
    if claim is None or created.lease is None:
        return replace(created, lease=None)
    # The same request asked for the same length; at most that much of it is left.
    seconds = None if claim.lease_seconds is None else float(claim.lease_seconds)
    return replace(created, lease=Lease(created.lease.token, seconds))
