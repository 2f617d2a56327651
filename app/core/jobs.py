"""Creating, reading, cancelling, rerunning and deleting single jobs. Many at once are in `bulk`, lists in
`job_lists`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid4

from app.core.batches.changes import changes_of
from app.core.batches.create import CreateRequest, insert_jobs, reserve_keys
from app.core.batches.idempotency import reused_key_error
from app.db import deletions, inputs, items, jobs, new_jobs, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.new_jobs import Creation
from app.db.transitions import Move
from app.domain.errors import (
    AlreadyTerminalError,
    ForbiddenError,
    InputGoneError,
    InvalidError,
    InvalidTransitionError,
    JobtrackError,
    NotFoundError,
)
from app.domain.ids import new_id
from app.domain.input import StoredInput
from app.domain.job import Created, Idempotency, Job, JobRef, NewJob
from app.domain.states import RERUNNABLE, JobEvent, JobState
from app.live.change_feed import Change
from app.live.claimers import Offer
from app.live.group_writer import GroupWriter
from app.live.read_batcher import ReadBatcher

MAX_LABELS: Final = 50
NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


def no_such_job() -> NotFoundError:
    """Make the one answer for unknown jobs and other projects' jobs alike."""
    return NotFoundError("There is no such job.")


class Jobs:
    """The jobs of all projects; every call names its own."""

    def __init__(
        self,
        database: Database,
        reads: ReadBatcher[JobRef, Job],
        full_reads: ReadBatcher[JobRef, Job],
        creations: GroupWriter[CreateRequest, Created],
        announce: Callable[[Iterable[Change]], None],
    ) -> None:
        self._database = database
        self._reads = reads
        self._full_reads = full_reads
        self._creations = creations
        self._announce = announce

    async def create(self, project_id: UUID, job: NewJob, *, idempotency: Idempotency | None = None) -> Created:
        """Store a job and give it back with its documents; with `job.claim` also the lease it is created under."""
        token = uuid4() if job.claim is not None else None
        return await self._creations.submit(CreateRequest(Creation(project_id, job, token=token), idempotency))

    async def create_many(
        self, project_id: UUID, jobs: Iterable[NewJob], *, idempotency: Idempotency | None = None
    ) -> list[Created | JobtrackError]:
        """Store jobs, each accepted or refused alone; gives what became of each, in the same order."""
        requests = [
            CreateRequest(
                Creation(project_id, job, token=uuid4() if job.claim is not None else None),
                None if idempotency is None else idempotency.of_row(n),
            )
            for n, job in enumerate(jobs)
        ]
        return await self._creations.submit_many(requests)

    async def get(self, project_id: UUID, job_id: UUID, *, documents: bool = False) -> Job:
        """Read a job, with payload, result and billing if asked for; raises NotFoundError."""
        job = await (self._full_reads if documents else self._reads).get(JobRef(project_id, job_id))
        if job is None:
            raise no_such_job()
        return job

    async def get_many(
        self, project_id: UUID, job_ids: Collection[UUID], *, documents: bool = False
    ) -> dict[UUID, Job]:
        """Read jobs by id; unknown ones are left out."""
        reads = self._full_reads if documents else self._reads
        found = await reads.get_many([JobRef(project_id, job_id) for job_id in job_ids])
        return {ref.job_id: job for ref, job in found.items()}

    async def cancel(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        by: str | None,
        reason: str | None = None,
        queues: frozenset[str] | None = None,
    ) -> Job:
        """Ask for a cancel: a waiting job ends at once, a held one when its worker acknowledges. Repeating it is
        harmless. `queues` are the only ones that the caller's key may use; None means all.
        """
        key = JobRef(project_id, job_id)

        async def work(connection: Connection) -> tuple[Job | None, list[Change]]:
            await transitions.lock_in_order(connection, [key])
            if queues is not None:
                check_queue((await jobs.select_by_ids(connection, [key])).get(key), queues)
            move = Move(project_id=project_id, job_id=job_id, cancelled_by=by, reason=reason)
            moved = await transitions.move(connection, JobEvent.CANCEL, [move])
            return (await jobs.select_by_ids(connection, [key])).get(key), changes_of(moved)

        job, changes = await self._database.write(work)
        self._announce(changes)
        if job is None:
            raise no_such_job()
        if job.state not in (JobState.CANCELLED, JobState.CANCELLING):
            raise AlreadyTerminalError(f"The job has ended ({job.state}); it cannot be cancelled any more.", job)
        return job

    async def rerun(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        only_failed_items: bool = False,
        idempotency: Idempotency | None = None,
        queues: frozenset[str] | None = None,
        labels: Mapping[str, str] = NO_LABELS,
    ) -> Created:
        """Make a new job like an ended one; while such a rerun is live, another call without a key answers it.

        `queues` are the only ones that the caller's key may create in; None means all. `labels` join the original's.
        """
        wanted = _Rerun(new_id(), only_failed_items, idempotency, queues, labels)

        async def work(connection: Connection) -> tuple[Created, list[Change]]:
            return await _rerun(connection, JobRef(project_id, job_id), wanted)

        created, changes = await self._database.write(work)
        self._announce(changes)
        return created

    async def delete(self, project_id: UUID, job_id: UUID, *, queues: frozenset[str] | None = None) -> None:
        """Delete a job that has ended: gone for every reader at once, its rows are pruned in steps."""
        key = JobRef(project_id, job_id)

        async def work(connection: Connection) -> None:
            await transitions.lock_in_order(connection, [key])
            job = (await jobs.select_by_ids(connection, [key])).get(key)
            if job is None:
                raise no_such_job()
            check_queue(job, queues)
            if not await deletions.delete(connection, [key]):
                raise InvalidTransitionError(f"The job is still {job.state}; only an ended job can be deleted.", job)

        await self._database.write(work)
        self._announce([Change(key, told=("deleted",))])


def check_queue(job: Job | None, queues: frozenset[str] | None) -> None:
    """Refuse a job of a queue that the caller's key may not use."""
    if job is not None and queues is not None and job.queue not in queues:
        raise ForbiddenError("The key may not use this queue.")


@dataclass(frozen=True, slots=True)
class _Rerun:
    """What is asked of a rerun."""

    new_job_id: UUID
    only_failed_items: bool
    idempotency: Idempotency | None
    queues: frozenset[str] | None
    labels: Mapping[str, str]


async def _rerun(connection: Connection, key: JobRef, wanted: _Rerun) -> tuple[Created, list[Change]]:
    # The original's lock lets one rerun of it through at a time, so that two calls at once do not make two jobs.
    await transitions.lock_in_order(connection, [key])
    original = (await jobs.select_with_documents(connection, [key])).get(key)
    if original is None:
        raise no_such_job()
    check_queue(original, wanted.queues)
    if original.state not in RERUNNABLE:
        raise InvalidTransitionError(
            f"The job is still {original.state}; only a job that has ended can be rerun.", original
        )
    held = await inputs.select_of_job(connection, key)
    if held is not None and held.dropped:
        raise InputGoneError(
            "The job's input held credentials, and was dropped when it ended; create it anew.", original
        )
    again = _again(original, wanted, None if held is None else held.stored)
    creation = Creation(key[0], again, original_job_id=original.id)
    existing = await _made_before(connection, key, creation, wanted.idempotency)
    if existing is not None:
        job = (await jobs.select_with_documents(connection, [existing]))[existing]
        return Created(job, replayed=True), []
    await insert_jobs(connection, [creation])
    new_job_id = wanted.new_job_id
    copied = await items.copy_to(connection, key[0], key[1], new_job_id, only_failed=wanted.only_failed_items)
    if wanted.only_failed_items and not copied:
        raise InvalidError("No item of this job failed, so there is nothing to rerun with only_failed_items.")
    if copied:
        await new_jobs.set_items_total(connection, JobRef(key.project_id, new_job_id), copied)
    new_ref = JobRef(key.project_id, new_job_id)
    job = (await jobs.select_with_documents(connection, [new_ref]))[new_ref]
    offer = Offer(job.project_id, job.queue, job.type) if job.engine is None else None
    return Created(job), [Change(new_ref, offer, ("rerun",))]


async def _made_before(
    connection: Connection, original: JobRef, creation: Creation, idempotency: Idempotency | None
) -> JobRef | None:
    """Find the job that an earlier call has made: under the same key, or, without one, a rerun that is still live."""
    if idempotency is None:
        live = await jobs.select_live_rerun(connection, original)
        return None if live is None else JobRef(original.project_id, live)
    record = CreateRequest(creation, idempotency).record
    if record is None:
        return None
    earlier = (await reserve_keys(connection, [record])).get(record.job_id)
    if earlier is None:
        return None
    if earlier.fingerprint != idempotency.fingerprint:
        raise reused_key_error()
    return JobRef(earlier.project_id, earlier.job_id)


def _again(original: Job, wanted: _Rerun, stored: StoredInput | None) -> NewJob:
    """Copy what a rerun keeps of its original; its items are copied by the database, the input's bytes are shared."""
    lifetime = None if original.expires_at is None else original.expires_at - original.created_at
    documents = original.documents
    return replace(
        NewJob(id=wanted.new_job_id, type=original.type),
        queue=original.queue,
        engine=original.engine,
        collection=original.collection,
        payload=None if documents is None else documents.payload,
        priority=original.priority,
        lifetime=lifetime,
        max_attempts=original.max_attempts,
        retry=original.retry,
        labels=_joined(original.labels, wanted.labels),
        input=stored,
    )


def _joined(labels: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Add labels, unless there would be more of them than a job may have."""
    joined = {**labels, **more}
    return joined if len(joined) <= MAX_LABELS else dict(labels)
