"""Creating, reading, cancelling, rerunning and deleting single jobs. Many at once are in `bulk`, lists in
`job_lists`; what the transactions do is in `batches.single` and `batches.rerun`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Final
from uuid import UUID, uuid4

from app.core.access import no_such_job
from app.core.batches import single
from app.core.batches.idempotency import bind
from app.core.batches.queue_limit import QueueLimit
from app.core.batches.rerun import RerunRequest, apply_rerun
from app.core.space import Space
from app.db import checkpoints
from app.db.documents import DocumentRead
from app.db.engine import Database
from app.db.transitions import Move
from app.domain.answers import EVERYTHING, Include
from app.domain.errors import JobtrackError, NoSpaceError
from app.domain.idempotency import Done, Idempotency
from app.domain.ids import new_id
from app.domain.job import Created, CreateRequest, Job, JobRef, NewJob
from app.domain.json_text import JsonText
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
        document_reads: ReadBatcher[DocumentRead, Job],
        details: BodyCache,
        summaries: BodyCache,
        create_writer: GroupWriter[CreateRequest, Created],
        announce: Callable[[Iterable[Change]], None],
        space: Space,
        queue_limit: QueueLimit,
        *,
        max_answer_bytes: int,
    ) -> None:
        self._space = space
        self._queue_limit = queue_limit
        self._database = database
        self._reads = reads
        self._full_reads = full_reads
        self._document_reads = document_reads
        self._max_answer_bytes = max_answer_bytes
        self._answers = count()
        self._details = details
        self._summaries = summaries
        self._create_writer = create_writer
        self._announce = announce

    async def create(self, project_id: UUID, job: NewJob, *, idempotency: Idempotency | None = None) -> Created:
        """Store a job and return it with its documents; with `job.claim` also the lease it is created under."""
        self._space.check()
        token = uuid4() if job.claim is not None else None
        created = await self._create_writer.submit(CreateRequest(project_id, job, idempotency, token=token))
        (created,) = await self._with_documents(project_id, [created])
        return created

    async def create_many(
        self, project_id: UUID, jobs: Iterable[NewJob], *, idempotency: Idempotency | None = None
    ) -> list[Created | JobtrackError]:
        """Store jobs, each accepted or refused alone; returns the outcome of each, in the same order.

        Jobs that an earlier call made have documents as far as an answer holds them.
        """
        jobs = list(jobs)
        if idempotency is not None and jobs:
            # Rows are judged alone: those that another request has more than the first one would else be created.
            await self._database.short(project_id).write(bind, project_id, idempotency, None)
        requests = [
            CreateRequest(
                project_id,
                job,
                None if idempotency is None else idempotency.of_row(n),
                token=uuid4() if job.claim is not None else None,
            )
            for n, job in enumerate(jobs)
        ]
        try:
            self._space.check()
        except NoSpaceError as error:
            return [error] * len(requests)
        outcomes = await self._create_writer.submit_many(requests)
        made = iter(await self._with_documents(project_id, [each for each in outcomes if isinstance(each, Created)]))
        return [next(made) if isinstance(outcome, Created) else outcome for outcome in outcomes]

    async def _with_documents(self, project_id: UUID, created: Sequence[Created]) -> list[Created]:
        """Read the documents of the jobs that an earlier call made."""
        replayed = list(dict.fromkeys(each.job.id for each in created if each.replayed))
        if not replayed:
            return list(created)
        found = await self.get_with_documents(project_id, replayed, EVERYTHING)
        return [replace(each, job=found.get(each.job.id, each.job)) if each.replayed else each for each in created]

    async def get(self, project_id: UUID, job_id: UUID, *, documents: bool = False) -> Job:
        """Read a job, with payload, result and billing if asked for; raises NotFoundError."""
        job = await (self._full_reads if documents else self._reads).get(JobRef(project_id, job_id))
        if job is None:
            raise no_such_job()
        return job

    async def get_many(self, project_id: UUID, job_ids: Collection[UUID]) -> dict[UUID, Job]:
        """Return jobs by id, in the order of `job_ids`; unknown ids are omitted.

        The query is shared with other callers, so its result also holds their jobs, even those of other projects.
        """
        refs = [JobRef(project_id, job_id) for job_id in job_ids]
        found = await self._reads.get_many(refs)
        return {ref.job_id: found[ref] for ref in refs if ref in found}

    async def checkpoint(self, project_id: UUID, job_id: UUID) -> JsonText | None:
        """Read what a worker last kept of a job that has not ended; None where there is nothing."""
        return await self._database.slow(project_id).read(checkpoints.select, JobRef(project_id, job_id))

    async def get_with_documents(
        self, project_id: UUID, job_ids: Collection[UUID], include: Include
    ) -> dict[UUID, Job]:
        """Return jobs with documents by id, in the order of `job_ids`; unknown ids are omitted.

        An answer holds the documents of the first, and of as many more as fit; those of the others are None.
        """
        answer, max_bytes = next(self._answers), self._max_answer_bytes // (2 if include.as_text else 1)
        parts = (include.payload, include.result, include.billing, max_bytes)
        reads = [DocumentRead(answer, place, project_id, job_id, *parts) for place, job_id in enumerate(job_ids)]
        found = await self._document_reads.get_many(reads)
        return {read.job_id: found[read] for read in reads if read in found}

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
        idempotency: Idempotency | None = None,
    ) -> Done[Job]:
        """Request a cancel: a waiting job ends at once, a held one when its worker acknowledges. Repeating it is
        harmless. `queues` are the only ones that the caller's key may use; None means all.
        """
        move = Move(project_id=project_id, job_id=job_id, cancelled_by=by, reason=reason)
        done, changes = await self._database.slow(project_id).write(single.cancel, move, queues, idempotency)
        self._announce(changes)
        return done

    async def rerun(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        only_failed_items: bool = False,
        error_codes: Collection[str] | None = None,
        idempotency: Idempotency | None = None,
        queues: frozenset[str] | None = None,
        labels: Mapping[str, str] = NO_LABELS,
        if_none_is_live: bool = False,
        skip_busy: bool = False,
    ) -> Created:
        """Create a new job like an ended one; while a rerun of the same items is live, another call without a key
        returns it. With `if_none_is_live` none is created beside any; with `skip_busy` a locked original is not
        waited for, but raises JobBusyError. With `error_codes` it has the failed items with these alone.

        `queues` are the only ones that the caller's key may create in; None means all. `labels` join the original's.
        """
        self._space.check()
        codes = None if error_codes is None else frozenset(error_codes)
        request = RerunRequest(
            new_job_id=new_id(),
            only_failed_items=only_failed_items or codes is not None,
            error_codes=codes,
            idempotency=idempotency,
            queues=queues,
            labels=labels,
            # Live reruns are told apart by how many items they have, which says nothing of their codes.
            if_none_is_live=if_none_is_live or (codes is not None and idempotency is None),
            skip_busy=skip_busy,
        )
        created, changes = await self._database.slow(project_id).write(
            apply_rerun, JobRef(project_id, job_id), request, self._queue_limit
        )
        self._announce(changes)
        return created

    async def delete(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        queues: frozenset[str] | None = None,
        idempotency: Idempotency | None = None,
    ) -> Done[None]:
        """Delete a job that has ended: every reader stops seeing it at once, its rows are removed in steps."""
        ref = JobRef(project_id, job_id)
        done = await self._database.slow(project_id).write(single.delete, ref, queues, idempotency)
        if not done.replayed:
            self._announce([Change(ref, event_types=("deleted",))])
        return done
