"""A rerun: a new job like one that has ended, with its items queued again, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.core.access import check_queue, no_such_job
from app.core.batches.create import insert_jobs, reserve_keys
from app.core.batches.idempotency import reused_key_error
from app.db import create, inputs, items, jobs, transitions
from app.db.connection import Connection
from app.domain.errors import InputGoneError, InvalidError, InvalidTransitionError, JobBusyError
from app.domain.input import StoredInput
from app.domain.job import Created, CreateRequest, Idempotency, Job, JobRef, NewJob
from app.domain.states import RERUNNABLE
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob

MAX_LABELS: Final = 50


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """A rerun to create."""

    new_job_id: UUID
    only_failed_items: bool
    idempotency: Idempotency | None
    queues: frozenset[str] | None
    labels: Mapping[str, str]
    skip_busy: bool = False


async def apply_rerun(connection: Connection, ref: JobRef, request: RerunRequest) -> tuple[Created, list[Change]]:
    """Create a job like an ended one, or return the one that an earlier call has created."""
    # The lock of the original serialises its reruns, so that two calls at once do not create two jobs.
    if request.skip_busy:
        if await transitions.lock_free(connection, [ref]):
            raise JobBusyError("Another call holds this job just now.")
    else:
        await transitions.lock_in_order(connection, [ref])
    original = (await jobs.select_with_documents(connection, [ref])).get(ref)
    if original is None:
        raise no_such_job()
    check_queue(original, request.queues)
    if original.state not in RERUNNABLE:
        raise InvalidTransitionError(
            f"The job is still {original.state}; only a job that has ended can be rerun.", original
        )
    held = await inputs.select_of_job(connection, ref)
    if held is not None and held.dropped:
        raise InputGoneError(
            "The job's input held credentials, and was dropped when it ended; create it anew.", original
        )
    copy = _copied(original, request, None if held is None else held.stored)
    creation = CreateRequest(ref.project_id, copy, request.idempotency, original_job_id=original.id)
    existing = await _created_before(connection, ref, creation)
    if existing is not None:
        job = (await jobs.select_with_documents(connection, [existing]))[existing]
        return Created(job, replayed=True), []
    await insert_jobs(connection, [creation])
    new_job_id = request.new_job_id
    copied = await items.copy_to(
        connection, ref.project_id, ref.job_id, new_job_id, only_failed=request.only_failed_items
    )
    if request.only_failed_items and not copied:
        raise InvalidError("No item of this job failed, so there is nothing to rerun with only_failed_items.")
    if copied:
        await create.set_items_total(connection, JobRef(ref.project_id, new_job_id), copied)
    new_ref = JobRef(ref.project_id, new_job_id)
    job = (await jobs.select_with_documents(connection, [new_ref]))[new_ref]
    claimable = ClaimableJob(job.project_id, job.queue, job.type) if job.engine is None else None
    return Created(job), [Change(new_ref, claimable, ("rerun",))]


async def _created_before(connection: Connection, original: JobRef, request: CreateRequest) -> JobRef | None:
    """Return the job that an earlier call has created: under the same key or, without one, a rerun still live."""
    if request.idempotency is None:
        live = await jobs.select_live_rerun(connection, original)
        return None if live is None else JobRef(original.project_id, live)
    earlier = (await reserve_keys(connection, [request])).get(request.job.id)
    if earlier is None:
        return None
    if earlier.fingerprint != request.idempotency.fingerprint:
        raise reused_key_error()
    return JobRef(earlier.project_id, earlier.job_id)


def _copied(original: Job, request: RerunRequest, stored: StoredInput | None) -> NewJob:
    """Copy what a rerun keeps of its original. Its items are copied by the database, the input's bytes are shared."""
    lifetime = None if original.expires_at is None else original.expires_at - original.created_at
    documents = original.documents
    return replace(
        NewJob(id=request.new_job_id, type=original.type),
        queue=original.queue,
        engine=original.engine,
        collection=original.collection,
        payload=None if documents is None else documents.payload,
        priority=original.priority,
        lifetime=lifetime,
        max_attempts=original.max_attempts,
        retry=original.retry,
        labels=_joined(original.labels, request.labels),
        input=stored,
    )


def _joined(labels: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Add labels, unless there would be more of them than a job may have."""
    joined = {**labels, **more}
    return joined if len(joined) <= MAX_LABELS else dict(labels)
