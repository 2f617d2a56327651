"""New jobs, many at a time: in one statement, or with keys, items, claims and new queues in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from app.core.batches.at_once import try_once
from app.core.batches.idempotency import new_job_deleted_error, reused_key_error
from app.core.batches.places import take_places
from app.core.batches.queue_limit import QueueLimit
from app.db import create, idempotency, inputs, items, jobs
from app.db.connection import Connection
from app.db.engine import Database
from app.db.idempotency import CreationRecord
from app.db.items import NewItemRow
from app.db.jobs import Fence
from app.db.limits import QueueRef
from app.db.queue_names import QueueName
from app.domain.errors import JobtrackError, QueueFullError, UnavailableError
from app.domain.job import Created, CreateRequest, Job, JobRef, Lease
from app.domain.states import JobState
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob
from app.live.outcomes import Applied, Deferred, Outcome, Partly


def row_count(request: CreateRequest) -> int:
    """Return how many rows a new job is, roughly."""
    return 1 + len(request.job.items) + len(request.job.labels)


async def apply_creations(
    limit: QueueLimit, connection: Connection, requests: Sequence[CreateRequest]
) -> Applied[Created]:
    """Create the jobs whose key is new, and answer the others with what their key created before."""
    full = await limit.select_refused(connection, [_queue_name(request) for request in requests])
    too_many = {request.job.id for request in requests if full and _queue_name(request) in full}
    admitted = [request for request in requests if request.job.id not in too_many]
    earlier = await reserve_keys(connection, [request for request in admitted if request.idempotency is not None])
    fresh = [request for request in admitted if request.job.id not in earlier]
    refused: dict[UUID, JobtrackError | Deferred] = dict.fromkeys(too_many, limit.error())
    refused |= await _refuse(connection, [request for request in fresh if request.job.claim is not None])
    allowed = [request for request in fresh if request.job.id not in refused]
    inserted = await insert_jobs(connection, allowed, limit) if allowed else {}
    replays = await _read_replays(connection, earlier)
    outcomes: list[Outcome[Created]] = []
    changes: list[Change] = []
    for request in requests:
        job = inserted.get(request.job.id)
        if job is None:
            outcomes.append(
                refused.get(request.job.id) or _replayed(request, earlier[request.job.id], refused, replays)
            )
            continue
        outcomes.append(Created(job, _lease(request)))
        changes.append(_change(job))
    return Applied(outcomes, changes)


async def apply_creations_at_once(database: Database, requests: Sequence[CreateRequest]) -> Partly[Created]:
    """Create the jobs that are one statement, which commits itself: without a key to reserve, a file to attach, items
    to insert, or a place in a limited queue to take. Those whose queue would be a new one are left out, too: the
    project's queues are counted in the transaction that makes it.
    """
    plain = {n: request for n, request in enumerate(requests) if _is_plain(request)}
    if not plain:
        return Partly()
    inserted = await try_once(database.write_at_once(create.insert_into_known_queues, list(plain.values())))
    if inserted is None:
        return Partly()
    if isinstance(inserted, UnavailableError):
        return Partly(dict.fromkeys(plain, inserted))
    created = {n: job for n, request in plain.items() if (job := inserted.get(request.job.id)) is not None}
    return Partly({n: Created(job, None) for n, job in created.items()}, [_change(job) for job in created.values()])


def _is_plain(request: CreateRequest) -> bool:
    return request.idempotency is None and request.token is None and not request.job.items and request.job.input is None


def _queue_name(request: CreateRequest) -> QueueName:
    return QueueName(request.project_id, request.job.queue)


async def _refuse(connection: Connection, requests: Sequence[CreateRequest]) -> dict[UUID, QueueFullError | Deferred]:
    """Take a place for each job that is created already claimed; returns why others get none. Their keys stay free."""
    if not requests:
        return {}
    places = await take_places(connection, [QueueRef(request.project_id, request.job.queue) for request in requests])
    refusals = {
        request.job.id: refusal for request, refusal in zip(requests, places, strict=True) if refusal is not None
    }
    records = [_record(request) for request in requests if request.idempotency and request.job.id in refusals]
    if records:
        await idempotency.forget(connection, records)
    return refusals


def _lease(request: CreateRequest) -> Lease | None:
    if request.token is None or request.job.claim is None:
        return None
    seconds = request.job.claim.lease_seconds
    return Lease(request.token, None if seconds is None else float(seconds))


def _change(job: Job) -> Change:
    if job.state is not JobState.PENDING:
        return Change(job.ref, None, ("created", "claimed"))
    due = job.engine is None and job.scheduled_at <= job.created_at
    return Change(job.ref, ClaimableJob(job.project_id, job.queue, job.type) if due else None, ("created",))


async def reserve_keys(connection: Connection, requests: Sequence[CreateRequest]) -> dict[UUID, CreationRecord]:
    """Reserve the keys that are free; returns the earlier records of the others, by the job that was to be created."""
    records = [_record(request) for request in requests]
    found: dict[UUID, CreationRecord] = {}
    while records:
        reserved = await idempotency.reserve(connection, records)
        late = [record for record in records if record.job_id not in reserved]
        earlier = await idempotency.select_creations(connection, [record.record_key for record in late]) if late else {}
        found |= {record.job_id: earlier[record.record_key] for record in late if record.record_key in earlier}
        # One that was taken and is not there has just become too old: it is free now.
        records = [record for record in late if record.record_key not in earlier]
    return found


def _record(request: CreateRequest) -> CreationRecord:
    if request.idempotency is None:
        raise ValueError("only a request with an Idempotency-Key has a record")
    return CreationRecord(
        project_id=request.project_id,
        route=request.idempotency.route,
        key=request.idempotency.key,
        fingerprint=request.idempotency.fingerprint,
        job_id=request.job.id,
    )


async def insert_jobs(connection: Connection, requests: Sequence[CreateRequest], limit: QueueLimit) -> dict[UUID, Job]:
    """Insert jobs with the items they bring; returns them as they are now, by id."""
    inserted, with_new_queues = await create.insert(connection, requests)
    if with_new_queues:
        await limit.check(connection, [request.project_id for request in requests])
    item_rows = [
        NewItemRow(
            project_id=request.project_id,
            job_id=request.job.id,
            position=position,
            key=item.key,
            name=item.name,
            uri=item.uri,
            size_bytes=item.size_bytes,
        )
        for request in requests
        for position, item in enumerate(request.job.items, start=1)
    ]
    if item_rows:
        await items.insert_new(connection, item_rows)
    job_inputs = [(request.ref, request.job.input) for request in requests if request.job.input is not None]
    if job_inputs:
        await inputs.attach(connection, job_inputs)
    return inserted


async def _read_replays(connection: Connection, earlier: dict[UUID, CreationRecord]) -> dict[JobRef, Created]:
    refs = list({JobRef(record.project_id, record.job_id) for record in earlier.values()})
    if not refs:
        return {}
    # Without their documents, which may be larger by now than an answer: `core.jobs` reads as much as that holds.
    current = await jobs.select_by_ids(connection, refs)
    fences = await jobs.select_fences(connection, refs)
    # A job created already claimed must hand its token to the caller whose first answer was lost.
    return {ref: Created(job, _rest_of_lease(job, fences.get(ref)), replayed=True) for ref, job in current.items()}


def _rest_of_lease(job: Job, fence: Fence | None) -> Lease | None:
    if fence is None or fence.token is None or not _is_untouched(job):
        return None
    return Lease(fence.token, fence.lease_left)


def _is_untouched(job: Job) -> bool:
    """Whether a job is still under the claim of its creator, who must not get the token of a later holder."""
    return job.state is JobState.DISPATCHED and job.status_changed_at == job.created_at


def _replayed(
    request: CreateRequest,
    record: CreationRecord,
    refused: Mapping[UUID, JobtrackError | Deferred],
    earlier: dict[JobRef, Created],
) -> Outcome[Created]:
    if (refusal := refused.get(record.job_id)) is not None:
        # The first with the key is in this batch. Its key is free again: another request has its own turn.
        is_same = request.idempotency is not None and record.fingerprint == request.idempotency.fingerprint
        return refusal if is_same else Deferred.BUSY
    if request.idempotency is None or record.fingerprint != request.idempotency.fingerprint:
        return reused_key_error()
    created = earlier.get(JobRef(record.project_id, record.job_id))
    if created is None:
        return new_job_deleted_error()
    # Only the one who created the job already claimed gets its lease again, not the creator of a job others work on.
    return created if request.job.claim is not None else replace(created, lease=None)
