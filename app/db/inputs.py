"""Inputs of jobs: chunks under an upload's id, and one row that says which upload is a job's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, delete, exists, func, insert, not_, select, true, update

from app.db import tables
from app.db.connection import Connection
from app.db.expressions import at_key, state_among
from app.db.parameters import Batch, Int4, Values
from app.db.projection import NO_ROWS, Projection, Value
from app.db.statement import CoreStatement, Statement
from app.domain.input import StoredInput
from app.domain.job import JobRef
from app.domain.states import TERMINAL, JobState

_CHUNKS: Final = tables.input_chunks
_INPUTS: Final = tables.inputs
_NOW: Final = func.statement_timestamp()


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of an input: the chunks under an id."""

    project_id: UUID
    upload_id: UUID


@dataclass(frozen=True, slots=True)
class _ChunkRef:
    project_id: UUID
    upload_id: UUID
    n: Int4


@dataclass(frozen=True, slots=True)
class _Chunk:
    project_id: UUID
    upload_id: UUID
    n: Int4
    data: bytes


_CHUNK: Final = Values(_Chunk)
_DATA: Final = Value(bytes, _CHUNKS.c.data)
_OF_UPLOAD: Final = and_(_CHUNKS.c.project_id == bindparam("project_id"), _CHUNKS.c.upload_id == bindparam("upload_id"))
INSERT_CHUNK = CoreStatement(
    insert(_CHUNKS).values({p.name: bindparam(p.name) for p in _CHUNK.parameters} | {"created_at": _NOW}),
    _CHUNK,
    NO_ROWS,
)
SELECT_CHUNK = CoreStatement(
    select(*_DATA.elements()).where(_OF_UPLOAD, _CHUNKS.c.n == bindparam("n")), Values(_ChunkRef), _DATA
)
DELETE_CHUNKS = CoreStatement(delete(_CHUNKS).where(_OF_UPLOAD), Values(Upload), NO_ROWS)


async def insert_chunk(connection: Connection, project_id: UUID, upload_id: UUID, n: int, data: bytes) -> None:
    """Store one chunk of an upload."""
    await connection.execute(INSERT_CHUNK, _Chunk(project_id, upload_id, n, data))


async def select_chunk(connection: Connection, project_id: UUID, upload_id: UUID, n: int) -> bytes | None:
    """Read one chunk; None once it was pruned."""
    return await connection.fetchrow(SELECT_CHUNK, _ChunkRef(project_id, upload_id, n))


async def delete_chunks(connection: Connection, project_id: UUID, upload_id: UUID) -> None:
    """Remove an upload that no job will have."""
    await connection.execute(DELETE_CHUNKS, Upload(project_id, upload_id))


@dataclass(frozen=True, slots=True)
class _JobInput:
    job: JobRef
    input: StoredInput


ATTACH = Statement(
    """
    INSERT INTO inputs AS n (project_id, job_id, upload_id, content_type, size_bytes, sha256, sensitive, created_at)
    SELECT i.job_project_id, i.job_job_id, i.input_upload_id, i.input_content_type, i.input_size_bytes, i.input_sha256,
           i.input_sensitive, statement_timestamp()
    FROM :rows
    ON CONFLICT (project_id, job_id) DO UPDATE
        SET upload_id = excluded.upload_id, content_type = excluded.content_type, size_bytes = excluded.size_bytes,
            sha256 = excluded.sha256, sensitive = excluded.sensitive, created_at = excluded.created_at
    RETURNING :returned
    """,
    Batch(_JobInput),
    Value(bool, "n.xmax <> 0"),
)


async def attach(connection: Connection, inputs: Sequence[tuple[JobRef, StoredInput]]) -> bool:
    """Set the inputs of jobs; returns whether one of them replaced another."""
    replaced = await connection.fetch(ATTACH, [_JobInput(job, stored) for job, stored in inputs])
    return any(replaced)


@dataclass(frozen=True, slots=True)
class Held:
    """A job's input with what decides who may read it."""

    stored: StoredInput
    dropped_at: datetime | None
    state: JobState
    token: UUID | None

    @property
    def dropped(self) -> bool:
        """Whether it may not be read any more: from the end of the job on, even before its bytes are removed."""
        return self.dropped_at is not None or (self.stored.sensitive and self.state in TERMINAL)


_JOBS: Final = tables.jobs
_HELD: Final = Projection(Held, _JOBS, {"stored": Projection(StoredInput, _INPUTS), "dropped_at": _INPUTS.c.dropped_at})
_OF_JOB: Final = and_(_INPUTS.c.project_id == _JOBS.c.project_id, _INPUTS.c.job_id == _JOBS.c.id)
SELECT = CoreStatement(
    select(*_HELD.elements())
    .join_from(_JOBS, _INPUTS, _OF_JOB)
    .where(_JOBS.c.project_id == bindparam("project_id"), _JOBS.c.id == bindparam("job_id")),
    Values(JobRef),
    _HELD,
)


async def select_of_job(connection: Connection, key: JobRef) -> Held | None:
    """Read the description of a job's input; None if there is no such job or it has none."""
    return await connection.fetchrow(SELECT, key)


def select_ended_sensitive() -> Select[Any]:
    """Find credentials that are to be dropped."""
    job = (
        select(_JOBS.c.state)
        .where(_JOBS.c.project_id == _INPUTS.c.project_id, _JOBS.c.id == _INPUTS.c.job_id)
        .order_by(_JOBS.c.id)
        .lateral("j")
    )
    return (
        select(_INPUTS.c.project_id, _INPUTS.c.job_id)
        .join_from(_INPUTS, job, true())
        .where(_INPUTS.c.sensitive, _INPUTS.c.dropped_at.is_(None), state_among(job.c.state, TERMINAL))
    )


@dataclass(frozen=True, slots=True)
class _AtMost:
    limit: int


# In no order: that of the keys would be had from the index of all inputs as well. Nobody waits for a lock here.
_ENDED: Final = (
    select_ended_sensitive().limit(bindparam("limit")).with_for_update(of=_INPUTS, skip_locked=True).subquery("e")
)
_DROPPED: Final = Projection(Upload, _INPUTS)
DROP = CoreStatement(
    update(_INPUTS)
    .values(dropped_at=_NOW)
    .where(at_key(_INPUTS, project_id=_ENDED.c.project_id, job_id=_ENDED.c.job_id))
    .returning(*_DROPPED.elements()),
    Values(_AtMost),
    _DROPPED,
)
_UPLOADS: Final = Batch(Upload)
_ROWS: Final = _UPLOADS.rows_of()
_CHUNK_OF_INPUT: Final = and_(_INPUTS.c.project_id == _CHUNKS.c.project_id, _INPUTS.c.upload_id == _CHUNKS.c.upload_id)
# A rerun that is still to work shares the upload.
DELETE_UNUSED = CoreStatement(
    delete(_CHUNKS)
    .where(at_key(_CHUNKS, project_id=_ROWS.c.project_id, upload_id=_ROWS.c.upload_id))
    .where(not_(exists().where(_CHUNK_OF_INPUT, _INPUTS.c.dropped_at.is_(None)))),
    _UPLOADS,
    NO_ROWS,
)


async def drop_sensitive(connection: Connection, limit: int) -> int:
    """Remove the credentials of jobs that have ended; returns how many jobs' there were."""
    dropped = await connection.fetch(DROP, _AtMost(limit))
    await delete_unused(connection, dropped)
    return len(dropped)


@dataclass(frozen=True, slots=True)
class _SomeOlderThan:
    age: timedelta
    limit: int


_ORPHAN: Final = Projection(Upload, _CHUNKS)
ORPHANS = CoreStatement(
    select(*_ORPHAN.elements())
    .distinct()
    .where(_CHUNKS.c.created_at < _NOW - bindparam("age"), not_(exists().where(_CHUNK_OF_INPUT)))
    .limit(bindparam("limit")),
    Values(_SomeOlderThan),
    _ORPHAN,
)


async def delete_orphans(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Remove uploads that no job has: their sender left, or their job was deleted or has another input now."""
    found = await connection.fetch(ORPHANS, _SomeOlderThan(age, limit))
    await delete_unused(connection, found)
    return len(found)


async def delete_unused(connection: Connection, uploads: Sequence[Upload]) -> None:
    """Remove the chunks of these uploads, but for those that a job has."""
    if uploads:
        await connection.execute(DELETE_UNUSED, uploads)
