"""A rerun: a new job like one that has ended, with its items queued again, in one transaction.

Of more items than `MOST_COPIED` this copies the first; `app/core/item_copies.py` copies the others, and the job is held
back until they are there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from app.core.access import check_queue, no_such_job
from app.core.batches.create import insert_jobs, reserve_keys
from app.core.batches.idempotency import key_of, new_job_deleted_error, reused_key_error
from app.core.batches.queue_limit import QueueLimit
from app.db import inputs, item_copies, item_errors, item_pages, jobs, transitions
from app.db.connection import Connection
from app.db.idempotency import select_creations
from app.db.item_copies import ItemCopy
from app.domain.errors import (
    IdempotencyInProgressError,
    InputGoneError,
    InvalidError,
    InvalidTransitionError,
    JobBusyError,
)
from app.domain.idempotency import Idempotency
from app.domain.input import StoredInput
from app.domain.job import Created, CreateRequest, Job, JobRef, NewJob
from app.domain.states import RERUNNABLE
from app.live.change_feed import Change
from app.live.idle_claims import ClaimableJob

MAX_LABELS: Final = 50
MOST_COPIED: Final = 5_000
"""Items copied in one transaction, of some fifty milliseconds: a million in one takes longer than a statement may."""
MOST_EXAMINED: Final = 100_000
"""Items examined for failed ones in one transaction."""


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """A rerun to create."""

    new_job_id: UUID
    only_failed_items: bool
    error_codes: frozenset[str] | None
    """Of the failed items those with one of these alone."""
    idempotency: Idempotency | None
    queues: frozenset[str] | None
    labels: Mapping[str, str]
    if_none_is_live: bool = False
    """Refuse it, whatever the key, while another rerun of the job is live: for a call about many."""
    skip_busy: bool = False
    """Refuse it while the original is locked, rather than wait."""


async def apply_rerun(
    connection: Connection, ref: JobRef, request: RerunRequest, limit: QueueLimit
) -> tuple[Created, list[Change]]:
    """Create a job like an ended one, or return the one that an earlier call has created."""
    await _lock_original(connection, ref, request)
    # Before anything about the original, which may have been deleted since the first call.
    earlier = await _created_before(connection, ref.project_id, request)
    if earlier is not None:
        return earlier, []
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
    if request.idempotency is None or request.if_none_is_live:
        live = await _live_rerun(connection, original, request)
        if live is not None:
            return Created(live, replayed=True), []
    if request.idempotency is not None and await reserve_keys(connection, [creation]):
        # A call about the same original would have waited for its lock.
        raise IdempotencyInProgressError("The first call with this Idempotency-Key is still running.")
    await insert_jobs(connection, [creation], limit)
    complete = await _copy_items(connection, original, request)
    new_ref = creation.ref
    job = (await jobs.select_with_documents(connection, [new_ref]))[new_ref]
    claimable = ClaimableJob(job.project_id, job.queue, job.type) if complete and job.engine is None else None
    return Created(job), [Change(new_ref, claimable, ("rerun",))]


async def _copy_items(connection: Connection, original: Job, request: RerunRequest) -> bool:
    """Copy the items, or the first of many; returns whether all are there."""
    last_position = await item_pages.count(connection, *original.ref)
    copy = ItemCopy(
        project_id=original.project_id,
        job_id=request.new_job_id,
        original_job_id=original.id,
        only_failed=request.only_failed_items,
        error_codes=request.error_codes,
        last_position=last_position,
    )
    # Both are kept with the items, so that nothing has to be counted but by code.
    total = original.counts.failed if request.only_failed_items else last_position
    if request.error_codes is not None:
        total = await _failed_with(connection, original, request.error_codes)
    if request.only_failed_items and not total:
        raise _nothing_failed()
    copy = await item_copies.copy_some(connection, copy, window=MOST_EXAMINED, limit=MOST_COPIED)
    if copy.position < last_position and copy.copied < total:
        await item_copies.begin(connection, copy, total)
        return False
    if request.only_failed_items and not copy.copied:
        raise _nothing_failed()
    if copy.copied:
        await item_copies.set_items_total(connection, copy.ref, copy.copied)
    return True


async def _failed_with(connection: Connection, original: Job, codes: frozenset[str]) -> int:
    examined, failed = await item_errors.count_with_codes(connection, original.ref, codes, window=MOST_EXAMINED)
    if examined == MOST_EXAMINED:
        raise InvalidError(f"{MOST_EXAMINED:,} items of this job have an error, too many to choose from by error code.")
    if not failed:
        raise InvalidError("No item of this job failed with one of these error codes, so there is nothing to rerun.")
    return failed


async def _lock_original(connection: Connection, ref: JobRef, request: RerunRequest) -> None:
    """Serialise the reruns of an original, so that two calls at once do not create two jobs."""
    if not request.skip_busy:
        await transitions.lock_in_order(connection, [ref])
    elif await transitions.lock_free(connection, [ref]):
        raise JobBusyError("Another call holds this job just now.")


async def _created_before(connection: Connection, project_id: UUID, request: RerunRequest) -> Created | None:
    """Return the job that an earlier call under the same key has created."""
    if request.idempotency is None:
        return None
    key = key_of(project_id, request.idempotency)
    record = (await select_creations(connection, [key])).get(key)
    if record is None:
        return None
    if record.fingerprint != request.idempotency.fingerprint:
        raise reused_key_error()
    ref = JobRef(project_id, record.job_id)
    job = (await jobs.select_with_documents(connection, [ref])).get(ref)
    if job is None:
        raise new_job_deleted_error()
    return Created(job, replayed=True)


async def _live_rerun(connection: Connection, original: Job, request: RerunRequest) -> Job | None:
    """Return the live rerun of the same items, None if there is none; raises InvalidTransitionError for another one."""
    live = await jobs.select_live_rerun(connection, original.ref)
    if live is None:
        return None
    ref = JobRef(original.project_id, live.id)
    job = (await jobs.select_with_documents(connection, [ref])).get(ref)
    if job is None or job.terminal:
        # It has ended between the two statements.
        return None
    if request.if_none_is_live:
        raise InvalidTransitionError("A rerun of this job is live.", job)
    failed = original.counts.failed
    if request.only_failed_items and not failed:
        raise _nothing_failed()
    every = await item_pages.count(connection, *original.ref)
    if live.copied_items != (failed if request.only_failed_items else every):
        copied = {every: "all its items", failed: "its failed items only"}.get(live.copied_items, "some of its items")
        raise InvalidTransitionError(f"A rerun of this job with {copied} is live; wait for it, or cancel it.", job)
    return job


def _nothing_failed() -> InvalidError:
    return InvalidError("No item of this job failed, so there is nothing to rerun with only_failed_items.")


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
        expected_seconds=original.expected_seconds,
        labels=_joined(original.labels, request.labels),
        input=stored,
    )


def _joined(labels: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Add labels, unless there would be more of them than a job may have."""
    joined = {**labels, **more}
    return joined if len(joined) <= MAX_LABELS else dict(labels)
