"""Inputs of jobs: chunks under an upload's id, and one row that says which upload is a job's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.db.connection import Connection, Statement
from app.db.lookups import lookup, state_among, target_by_key
from app.domain.input import StoredInput
from app.domain.job import JobKey
from app.domain.states import TERMINAL, JobState

INSERT_CHUNK = Statement("""
    INSERT INTO input_chunks (project_id, upload_id, n, data, created_at)
    VALUES (:project_id, :upload_id, :n, :data, statement_timestamp())
""")


async def insert_chunk(connection: Connection, project_id: UUID, upload_id: UUID, n: int, data: bytes) -> None:
    """Store one chunk of an upload."""
    await connection.execute(INSERT_CHUNK, {"project_id": project_id, "upload_id": upload_id, "n": n, "data": data})


SELECT_CHUNK = Statement("""
    SELECT c.data FROM input_chunks c
    WHERE c.project_id = :project_id AND c.upload_id = :upload_id AND c.n = :n
""")


async def select_chunk(connection: Connection, project_id: UUID, upload_id: UUID, n: int) -> bytes | None:
    """Read one chunk; None once it was pruned."""
    data: bytes | None = await connection.fetchval(
        SELECT_CHUNK, {"project_id": project_id, "upload_id": upload_id, "n": n}
    )
    return data


DELETE_CHUNKS = Statement("DELETE FROM input_chunks c WHERE c.project_id = :project_id AND c.upload_id = :upload_id")


async def delete_chunks(connection: Connection, project_id: UUID, upload_id: UUID) -> None:
    """Remove an upload that no job will have."""
    await connection.execute(DELETE_CHUNKS, {"project_id": project_id, "upload_id": upload_id})


ATTACH = Statement("""
    INSERT INTO inputs AS n (project_id, job_id, upload_id, content_type, size_bytes, sha256, sensitive, created_at)
    SELECT i.project_id, i.job_id, i.upload_id, i.content_type, i.size_bytes, i.sha256, i.sensitive,
           statement_timestamp()
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:upload_ids AS uuid[]),
                CAST(:content_types AS text[]), CAST(:sizes AS bigint[]), CAST(:sha256s AS bytea[]),
                CAST(:sensitive AS boolean[]))
         AS i (project_id, job_id, upload_id, content_type, size_bytes, sha256, sensitive)
    ON CONFLICT (project_id, job_id) DO UPDATE
        SET upload_id = excluded.upload_id, content_type = excluded.content_type, size_bytes = excluded.size_bytes,
            sha256 = excluded.sha256, sensitive = excluded.sensitive, created_at = excluded.created_at
    RETURNING (n.xmax <> 0) AS replaced
""")


async def attach(connection: Connection, inputs: Sequence[tuple[JobKey, StoredInput]]) -> bool:
    """Give jobs their inputs; says whether the last one replaced another."""
    rows = await connection.fetch(
        ATTACH,
        {
            "project_ids": [key[0] for key, _ in inputs],
            "job_ids": [key[1] for key, _ in inputs],
            "upload_ids": [stored.upload_id for _, stored in inputs],
            "content_types": [stored.content_type for _, stored in inputs],
            "sizes": [stored.size_bytes for _, stored in inputs],
            "sha256s": [stored.sha256 for _, stored in inputs],
            "sensitive": [stored.sensitive for _, stored in inputs],
        },
    )
    return any(row.replaced for row in rows)


@dataclass(frozen=True, slots=True)
class Held:
    """A job's input with what decides who may read it."""

    stored: StoredInput
    dropped: bool
    state: JobState
    token: UUID | None


SELECT = Statement("""
    SELECT n.upload_id, n.content_type, n.size_bytes, n.sha256, n.sensitive, n.dropped_at, j.state, j.token
    FROM jobs j JOIN inputs n ON n.project_id = j.project_id AND n.job_id = j.id
    WHERE j.project_id = :project_id AND j.id = :job_id
""")


async def select(connection: Connection, key: JobKey) -> Held | None:
    """Read what a job's input is; None if the job has none, or is not there."""
    row = await connection.fetchrow(SELECT, {"project_id": key[0], "job_id": key[1]})
    if row is None:
        return None
    stored = StoredInput(row.upload_id, row.content_type, row.size_bytes, bytes(row.sha256), row.sensitive)
    state = JobState(row.state)
    # From the moment the job has ended, whenever the pruner comes by.
    dropped = row.dropped_at is not None or (row.sensitive and state in TERMINAL)
    return Held(stored, dropped, state, row.token)


ENDED_SENSITIVE = f"""
    SELECT s.project_id, s.job_id
    FROM inputs s CROSS JOIN {lookup("jobs", "j", project_id="s.project_id", id="s.job_id")}
    WHERE s.sensitive AND s.dropped_at IS NULL AND {state_among(TERMINAL)}
"""
# In no order: that of the keys would be had from the index of all inputs as well. Nobody waits for a lock here.
DROP = Statement(f"""
    UPDATE inputs n SET dropped_at = statement_timestamp()
    FROM (
        {ENDED_SENSITIVE}
        LIMIT :limit FOR UPDATE OF s SKIP LOCKED
    ) e
    WHERE {target_by_key("n", project_id="e.project_id", job_id="e.job_id")}
    RETURNING n.project_id, n.upload_id
""")
# A rerun that is still to work shares the upload.
DELETE_UNUSED = Statement(f"""
    DELETE FROM input_chunks c
    USING unnest(CAST(:project_ids AS uuid[]), CAST(:upload_ids AS uuid[])) AS i (project_id, upload_id)
    WHERE {target_by_key("c", project_id="i.project_id", upload_id="i.upload_id")} AND NOT EXISTS (
        SELECT FROM inputs n
        WHERE n.project_id = c.project_id AND n.upload_id = c.upload_id AND n.dropped_at IS NULL)
""")


async def drop_sensitive(connection: Connection, limit: int) -> int:
    """Remove the credentials of jobs that have ended; gives how many jobs' there were."""
    dropped = await connection.fetch(DROP, {"limit": limit})
    await _delete_unused(connection, [(row.project_id, row.upload_id) for row in dropped])
    return len(dropped)


ORPHANS = Statement("""
    SELECT DISTINCT c.project_id, c.upload_id FROM input_chunks c
    WHERE c.created_at < statement_timestamp() - CAST(:age AS interval) AND NOT EXISTS (
        SELECT FROM inputs n WHERE n.project_id = c.project_id AND n.upload_id = c.upload_id)
    LIMIT :limit
""")


async def delete_orphans(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Remove uploads that no job has: their sender left, or their job was deleted or has another input now."""
    found = await connection.fetch(ORPHANS, {"age": age, "limit": limit})
    await _delete_unused(connection, [(row.project_id, row.upload_id) for row in found])
    return len(found)


async def _delete_unused(connection: Connection, uploads: Sequence[tuple[UUID, UUID]]) -> None:
    if uploads:
        await connection.execute(
            DELETE_UNUSED, {"project_ids": [p for p, _ in uploads], "upload_ids": [u for _, u in uploads]}
        )
