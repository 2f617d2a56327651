"""Inputs of jobs: received and sent chunk by chunk, in memory that does not grow with their size."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

import structlog

from app.core.access import check_queue
from app.core.batches.idempotency import job_deleted_error, key_of
from app.core.batches.inputs import attach_input, unchangeable_error
from app.core.jobs import Jobs
from app.core.space import Space
from app.db import idempotency as idempotency_rows
from app.db import inputs
from app.db.engine import Database
from app.db.inputs import Held
from app.domain.errors import (
    ForbiddenError,
    InputGoneError,
    JobtrackError,
    LeaseLostError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from app.domain.idempotency import ContentDigest, Done, Idempotency
from app.domain.input import StoredInput
from app.domain.job import Created, JobRef, NewJob
from app.domain.states import CLAIMABLE, LEASED

log = structlog.get_logger(__name__)

CHUNK_BYTES: Final = 1024 * 1024
MAX_INPUT_BYTES: Final = 100 * 1024 * 1024


class Inputs:
    """Stores and reads the inputs of all projects' jobs."""

    def __init__(self, database: Database, jobs: Jobs, space: Space) -> None:
        self._space = space
        self._database = database
        self._jobs = jobs

    async def create_job(
        self,
        project_id: UUID,
        job: NewJob,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        max_bytes: int = MAX_INPUT_BYTES,
        sensitive: bool = False,
        idempotency: Idempotency | None = None,
        content: ContentDigest | None = None,
    ) -> Created:
        """Receive an input and create its job: both or neither.

        `content` is for bytes that the fingerprint of `idempotency` does not have yet.
        """
        if idempotency is not None and content is not None:
            chunks = content.tap(chunks)
        stored = await self.receive(
            project_id, chunks, content_type=content_type, max_bytes=max_bytes, sensitive=sensitive
        )
        if idempotency is not None and content is not None:
            idempotency = idempotency.with_content(content.result())
        try:
            created = await self._jobs.create(project_id, replace(job, input=stored), idempotency=idempotency)
        except UnavailableError:
            # The job may have been created: its input is left to the pruner, which removes it if no job has it.
            raise
        except JobtrackError:
            await self.discard(project_id, stored)
            raise
        if created.replayed:
            await self.discard(project_id, stored)
        return created

    async def receive(
        self,
        project_id: UUID,
        chunks: AsyncIterator[bytes],
        *,
        content_type: str,
        max_bytes: int = MAX_INPUT_BYTES,
        sensitive: bool = False,
    ) -> StoredInput:
        """Store an input as it arrives, before its job is created; nothing of it is kept if it is cut off.

        No transaction is open while the sender sends: each chunk is one short write.
        """
        self._space.check()
        upload_id, digest = uuid4(), hashlib.sha256()
        buffer, size, n = bytearray(), 0, 0
        try:
            async for piece in chunks:
                size = _grown(size, piece, max_bytes)
                digest.update(piece)
                buffer += piece
                while len(buffer) >= CHUNK_BYTES:
                    # An upload may take an hour, and there are others.
                    self._space.check()
                    await self._database.slow(project_id).write(
                        inputs.insert_chunk, project_id, upload_id, n, bytes(buffer[:CHUNK_BYTES])
                    )
                    del buffer[:CHUNK_BYTES]
                    n += 1
            if buffer:
                await self._database.slow(project_id).write(
                    inputs.insert_chunk, project_id, upload_id, n, bytes(buffer)
                )
        except BaseException:
            await self._forget(project_id, upload_id)
            raise
        return StoredInput(upload_id, content_type, size, digest.digest(), sensitive)

    async def discard(self, project_id: UUID, stored: StoredInput) -> None:
        """Remove a received input whose job was not created."""
        await self._forget(project_id, stored.upload_id)

    async def expect(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        queues: frozenset[str] | None = None,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Refuse an upload before its bytes come: for a job that does not exist, that the key may not use, or whose
        input cannot change any more.
        """
        try:
            job = await self._jobs.get(project_id, job_id)
        except NotFoundError:
            if await self._is_repeat(project_id, idempotency):
                raise job_deleted_error() from None
            raise
        check_queue(job, queues)
        # Whether the first request had the same bytes, nobody can say before they have come.
        if job.state not in CLAIMABLE and not await self._is_repeat(project_id, idempotency):
            raise unchangeable_error(job)

    async def _is_repeat(self, project_id: UUID, idempotency: Idempotency | None) -> bool:
        if idempotency is None:
            return False
        return bool(
            await self._database.slow(project_id).read(idempotency_rows.select, [key_of(project_id, idempotency)])
        )

    async def put(
        self,
        project_id: UUID,
        job_id: UUID,
        stored: StoredInput,
        *,
        queues: frozenset[str] | None = None,
        idempotency: Idempotency | None = None,
    ) -> Done[bool]:
        """Attach a received input to a job that is not held yet; returns whether it replaced an earlier one."""
        if idempotency is not None:
            idempotency = idempotency.with_content(stored.content_type.encode() + stored.sha256)
        try:
            done = await self._database.slow(project_id).write(
                attach_input, JobRef(project_id, job_id), stored, queues, idempotency
            )
        except UnavailableError:
            # It may be the job's input now: the pruner removes it if it is not.
            raise
        except JobtrackError:
            await self.discard(project_id, stored)
            raise
        if done.replayed:
            await self.discard(project_id, stored)
        return done

    async def open(self, project_id: UUID, job_id: UUID, *, queues: frozenset[str] | None = None) -> StoredInput:
        """Return the description of a job's input, for a key that may use these queues; None means all.

        ForbiddenError for an input that holds credentials: only the worker that holds the job may read it.
        """
        held = await self._held(project_id, job_id)
        if queues is not None:
            check_queue(await self._jobs.get(project_id, job_id), queues)
        if held.stored.sensitive:
            raise ForbiddenError("This input holds credentials: it is read under a lease, with its Lease-Token.")
        return held.stored

    async def open_held(self, project_id: UUID, job_id: UUID, token: UUID) -> StoredInput:
        """Return the description of a job's input, for the worker that holds the job."""
        held = await self._held(project_id, job_id)
        if held.token != token or held.state not in LEASED:
            raise LeaseLostError("The token is not the latest of this job: its lease was lost or given back.")
        return held.stored

    async def _held(self, project_id: UUID, job_id: UUID) -> Held:
        held = await self._database.slow(project_id).read(inputs.select_of_job, JobRef(project_id, job_id))
        if held is None:
            raise NotFoundError("There is no such job, or it has no input.")
        if held.dropped:
            raise InputGoneError("The input held credentials, and was dropped when the job had ended.")
        return held

    async def read(self, project_id: UUID, stored: StoredInput, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, chunk by chunk, each read when the previous one was consumed."""
        for n in range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
            data = await self._database.slow(project_id).read(inputs.select_chunk, project_id, stored.upload_id, n)
            if data is None:
                # Pruned during a read that took hours: the response is cut short of its Content-Length.
                raise NotFoundError("The input is gone.")
            base = n * CHUNK_BYTES
            yield data[max(start - base, 0) : end - base]

    async def _forget(self, project_id: UUID, upload_id: UUID) -> None:
        try:
            await self._database.slow(project_id).write(inputs.delete_chunks, project_id, upload_id)
        except JobtrackError:
            log.warning("an upload that failed is left to the pruner", upload_id=str(upload_id))


def _grown(size: int, piece: bytes, max_bytes: int) -> int:
    size += len(piece)
    if size > max_bytes:
        raise TooLargeError(f"The input is longer than {max_bytes} bytes.")
    return size
