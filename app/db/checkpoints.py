"""Checkpoints: what a worker keeps of a running job, from which a later attempt continues. They go with its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db.connection import Connection
from app.db.parameters import Batch, Values
from app.db.projection import Value
from app.db.statement import Statement
from app.domain.job import JobRef
from app.domain.json_text import JsonText


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint from which a later attempt continues."""

    project_id: UUID
    job_id: UUID
    checkpoint: Any


UPSERT = Statement(
    """
    INSERT INTO checkpoints (project_id, job_id, checkpoint)
    SELECT i.project_id, i.job_id, CAST(i.checkpoint AS json)
    FROM :rows
    ON CONFLICT (project_id, job_id) DO UPDATE SET checkpoint = excluded.checkpoint
    """,
    Batch(Checkpoint),
)


async def upsert(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """Store checkpoints, each in place of the one before."""
    await connection.execute(UPSERT, checkpoints)


SELECT = Statement(
    "SELECT :returned FROM checkpoints c WHERE c.project_id = :project_id AND c.job_id = :job_id",
    Values(JobRef),
    Value(str, "CAST(c.checkpoint AS text)"),
)


async def select(connection: Connection, ref: JobRef) -> JsonText | None:
    """Read a job's checkpoint as the text that was stored, None where no attempt has kept one."""
    found = await connection.fetch(SELECT, ref)
    return JsonText(found[0]) if found else None
