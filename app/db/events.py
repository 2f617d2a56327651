"""The history of jobs: one row for everything that happened, written in the transaction that made it happen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db.connection import Connection
from app.db.parameters import Batch, Int4
from app.db.statement import Statement
from app.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that happened to a job. `type` is `job.` and a word of the lifecycle (docs/lifecycle.md)."""

    project_id: UUID
    job_id: UUID
    type: str
    attempt: Int4
    worker: str | None = None
    source: JobState | None = None
    target: JobState
    data: Any = None


INSERT = Statement(
    """
    INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
    SELECT i.project_id, i.job_id, i.type, statement_timestamp(), i.attempt, i.worker, i.source, i.target,
           CAST(i.data AS json)
    FROM :rows
    """,
    Batch(NewEvent),
)


async def insert(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Append events in the order given."""
    await connection.execute(INSERT, events)
