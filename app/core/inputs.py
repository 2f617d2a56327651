"""Inputs of jobs: received and handed out chunk by chunk, in memory that does not grow with them."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

import structlog

from app.core.access import check_queue, no_such_job
from app.core.jobs import Jobs
from app.db import inputs, jobs, transitions
from app.db.connection import Connection
from app.db.engine import Database
from app.db.inputs import Held
from app.domain.errors import (
    ForbiddenError,
    InputGoneError,
    InvalidTransitionError,
    JobtrackError,
    LeaseLostError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from app.domain.input import StoredInput
from app.domain.job import Created, Idempotency, JobRef, NewJob
from app.domain.states import CLAIMABLE, LEASED

log = structlog.get_logger(__name__)

CHUNK_BYTES: Final = 1024 * 1024
MAX_INPUT_BYTES: Final = 100 * 1024 * 1024


class Inputs:
    """Stores and reads the inputs of all projects' jobs."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
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
    ) -> Created:
        """Receive bytes and make the job whose input they are: both or neither."""
        stored = await self.receive(
            project_id, chunks, content_type=content_type, max_bytes=max_bytes, sensitive=sensitive
        )
        try:
            created = await self._jobs.create(project_id, replace(job, input=stored), idempotency=idempotency)
        except UnavailableError:
            # It may have been made: its input is left to the pruner, which removes it if no job has it.
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
        """Store bytes as they come, for a job that is to get them; nothing is left of them if they do not all come.

        No transaction is open while the sender sends: each chunk is one short write.
        """
        upload_id, digest = uuid4(), hashlib.sha256()
        buffer, size, n = bytearray(), 0, 0
        try:
            async for piece in chunks:
                size = _grown(size, piece, max_bytes)
                digest.update(piece)
                buffer += piece
                while len(buffer) >= CHUNK_BYTES:
                    await self._write_chunk(project_id, upload_id, n, bytes(buffer[:CHUNK_BYTES]))
                    del buffer[:CHUNK_BYTES]
                    n += 1
            if buffer:
                await self._write_chunk(project_id, upload_id, n, bytes(buffer))
        except BaseException:
            await self._forget(project_id, upload_id)
            raise
        return StoredInput(upload_id, content_type, size, digest.digest(), sensitive)

    async def discard(self, project_id: UUID, stored: StoredInput) -> None:
        """Remove what was received for a job that was not made."""
        await self._forget(project_id, stored.upload_id)

    async def put(
        self, project_id: UUID, job_id: UUID, stored: StoredInput, *, queues: frozenset[str] | None = None
    ) -> bool:
        """Attach received bytes to a job that is not held yet; returns whether they replaced an earlier input."""
        key = JobRef(project_id, job_id)

        async def work(connection: Connection) -> bool:
            await transitions.lock_in_order(connection, [key])
            job = (await jobs.select_by_ids(connection, [key])).get(key)
            if job is None:
                raise no_such_job()
            check_queue(job, queues)
            if job.state not in CLAIMABLE:
                raise InvalidTransitionError(
                    f"The job is {job.state}; its input can only change while it waits for a worker.", job
                )
            return await inputs.attach(connection, [(key, stored)])

        try:
            return await self._database.write(work)
        except UnavailableError:
            # It may be the job's input now: the pruner removes it if it is not.
            raise
        except JobtrackError:
            await self.discard(project_id, stored)
            raise

    async def open(self, project_id: UUID, job_id: UUID, *, queues: frozenset[str] | None = None) -> StoredInput:
        """Return the description of a job's input, for a reader of the inputs of these queues; None means all.

        One that holds credentials is for the worker alone.
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
        async def work(connection: Connection) -> Held | None:
            return await inputs.select_of_job(connection, JobRef(project_id, job_id))

        held = await self._database.read(work)
        if held is None:
            raise NotFoundError("There is no such job, or it has no input.")
        if held.dropped:
            raise InputGoneError("The input held credentials, and was dropped when the job had ended.")
        return held

    async def read(self, project_id: UUID, stored: StoredInput, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, chunk by chunk, each read when the one before was taken."""
        for n in range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
            data = await self._read_chunk(project_id, stored.upload_id, n)
            if data is None:
                # Pruned under a reader that took hours: the answer is cut, which its length shows.
                raise NotFoundError("The input is gone.")
            base = n * CHUNK_BYTES
            yield data[max(start - base, 0) : end - base]

    async def _read_chunk(self, project_id: UUID, upload_id: UUID, n: int) -> bytes | None:
        async def work(connection: Connection) -> bytes | None:
            return await inputs.select_chunk(connection, project_id, upload_id, n)

        return await self._database.read(work)

    async def _write_chunk(self, project_id: UUID, upload_id: UUID, n: int, data: bytes) -> None:
        async def work(connection: Connection) -> None:
            await inputs.insert_chunk(connection, project_id, upload_id, n, data)

        await self._database.write(work)

    async def _forget(self, project_id: UUID, upload_id: UUID) -> None:
        async def work(connection: Connection) -> None:
            await inputs.delete_chunks(connection, project_id, upload_id)

        try:
            await self._database.write(work)
        except JobtrackError:
            log.warning("an upload that failed is left to the pruner", upload_id=str(upload_id))


def _grown(size: int, piece: bytes, max_bytes: int) -> int:
    size += len(piece)
    if size > max_bytes:
        raise TooLargeError(f"The input is longer than {max_bytes} bytes.")
    return size
