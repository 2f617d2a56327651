"""Creating, reading, cancelling, rerunning and deleting single jobs. Many at once are in `bulk`, lists in
`job_lists`, and what a rerun does in `batches.rerun`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid4

from app.core.access import check_queue, no_such_job
from app.core.batches.changes import changes_of
from app.core.batches.rerun import RerunRequest, apply_rerun
from app.db import deletions, jobs, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.errors import (
    AlreadyTerminalError,
    InvalidTransitionError,
    JobtrackError,
)
from app.domain.ids import new_id
from app.domain.job import Created, CreateRequest, Idempotency, Job, JobRef, NewJob
from app.domain.states import JobEvent, JobState
from app.live.body_cache import BodyCache, CachedBody
from app.live.change_feed import Change
from app.live.group_writer import GroupWriter
from app.live.read_batcher import ReadBatcher

NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


class Jobs:
    """The jobs of all projects; every call names its own."""

    def __init__(
        self,
        database: Database,
        reads: ReadBatcher[JobRef, Job],
        full_reads: ReadBatcher[JobRef, Job],
        details: BodyCache,
        summaries: BodyCache,
        create_writer: GroupWriter[CreateRequest, Created],
        announce: Callable[[Iterable[Change]], None],
    ) -> None:
        self._database = database
        self._reads = reads
        self._full_reads = full_reads
        self._details = details
        self._summaries = summaries
        self._create_writer = create_writer
        self._announce = announce

    async def create(self, project_id: UUID, job: NewJob, *, idempotency: Idempotency | None = None) -> Created:
        """Store a job and return it with its documents; with `job.claim` also the lease it is created under."""
        token = uuid4() if job.claim is not None else None
        return await self._create_writer.submit(CreateRequest(project_id, job, idempotency, token=token))

    async def create_many(
        self, project_id: UUID, jobs: Iterable[NewJob], *, idempotency: Idempotency | None = None
    ) -> list[Created | JobtrackError]:
        """Store jobs, each accepted or refused alone; returns the outcome of each, in the same order."""
        requests = [
            CreateRequest(
                project_id,
                job,
                None if idempotency is None else idempotency.of_row(n),
                token=uuid4() if job.claim is not None else None,
            )
            for n, job in enumerate(jobs)
        ]
        return await self._create_writer.submit_many(requests)

    async def get(self, project_id: UUID, job_id: UUID, *, documents: bool = False) -> Job:
        """Read a job, with payload, result and billing if asked for; raises NotFoundError."""
        job = await (self._full_reads if documents else self._reads).get(JobRef(project_id, job_id))
        if job is None:
            raise no_such_job()
        return job

    async def get_many(
        self, project_id: UUID, job_ids: Collection[UUID], *, documents: bool = False
    ) -> dict[UUID, Job]:
        """Return jobs by id, in the order of `job_ids`; unknown ids are omitted.

        The query is shared with other callers, so its result also holds their jobs, even those of other projects.
        """
        reads = self._full_reads if documents else self._reads
        refs = [JobRef(project_id, job_id) for job_id in job_ids]
        found = await reads.get_many(refs)
        return {ref.job_id: found[ref] for ref in refs if ref in found}

    async def detail(self, project_id: UUID, job_id: UUID) -> CachedBody:
        """Return the body of a job with payload, result and billing; raises NotFoundError."""
        body = await self._details.get(JobRef(project_id, job_id))
        if body is None:
            raise no_such_job()
        return body

    async def version(self, project_id: UUID, job_id: UUID) -> int:
        """Return the version a job has now, without reading more of it; raises NotFoundError."""
        version = await self._details.version(JobRef(project_id, job_id))
        if version is None:
            raise no_such_job()
        return version

    async def summaries(self, project_id: UUID, job_ids: Collection[UUID]) -> dict[UUID, CachedBody]:
        """Return the bodies of jobs without their documents; unknown ones are left out."""
        bodies = await self._summaries.get_many([JobRef(project_id, job_id) for job_id in job_ids])
        return {ref.job_id: body for ref, body in bodies.items()}

    def summary_of(self, job: Job) -> bytes:
        """Return the body of a job that was read already, without its documents."""
        return self._summaries.of(job).body

    async def cancel(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        by: str | None,
        reason: str | None = None,
        queues: frozenset[str] | None = None,
    ) -> Job:
        """Request a cancel: a waiting job ends at once, a held one when its worker acknowledges. Repeating it is
        harmless. `queues` are the only ones that the caller's key may use; None means all.
        """
        ref = JobRef(project_id, job_id)
        move = Move(project_id=project_id, job_id=job_id, cancelled_by=by, reason=reason)
        job, changes = await self._database.write(_cancel, ref, move, queues)
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
        skip_busy: bool = False,
    ) -> Created:
        """Create a new job like an ended one; while such a rerun is live, another call without a key returns it.

        `queues` are the only ones that the caller's key may create in; None means all. `labels` join the original's.
        With `skip_busy` it does not wait for an original that is locked: JobBusyError.
        """
        request = RerunRequest(new_id(), only_failed_items, idempotency, queues, labels, skip_busy)
        created, changes = await self._database.write(apply_rerun, JobRef(project_id, job_id), request)
        self._announce(changes)
        return created

    async def delete(self, project_id: UUID, job_id: UUID, *, queues: frozenset[str] | None = None) -> None:
        """Delete a job that has ended: every reader stops seeing it at once, its rows are removed in steps."""
        ref = JobRef(project_id, job_id)
        await self._database.write(_delete, ref, queues)
        self._announce([Change(ref, event_types=("deleted",))])


async def _cancel(
    connection: Connection, ref: JobRef, move: Move, queues: frozenset[str] | None
) -> tuple[Job | None, list[Change]]:
    await transitions.lock_in_order(connection, [ref])
    if queues is not None:
        job = (await jobs.select_by_ids(connection, [ref])).get(ref)
        if job is not None:
            check_queue(job, queues)
    moved = await transitions.move(connection, JobEvent.CANCEL, [move])
    if moved:
        return moved[0].job, changes_of(moved)
    return (await jobs.select_by_ids(connection, [ref])).get(ref), []


async def _delete(connection: Connection, ref: JobRef, queues: frozenset[str] | None) -> None:
    await transitions.lock_in_order(connection, [ref])
    job = (await jobs.select_by_ids(connection, [ref])).get(ref)
    if job is None:
        raise no_such_job()
    check_queue(job, queues)
    if not await deletions.delete(connection, [ref]):
        raise InvalidTransitionError(f"The job is still {job.state}; only an ended job can be deleted.", job)
