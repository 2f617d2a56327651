"""The history of jobs: one row for everything that happened, written in the transaction that made it happen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db.connection import Connection, Statement
from app.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that happened to a job. `type` is `job.` and a word of section 2 of the design."""

    project_id: UUID
    job_id: UUID
    type: str
    attempt: int
    worker: str | None = None
    source: JobState | None = None
    target: JobState
    data: Any = None


INSERT = Statement("""
    INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
    SELECT i.project_id, i.job_id, i.type, statement_timestamp(), i.attempt, i.worker, i.from_state, i.to_state,
           CAST(i.data AS json)
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:types AS text[]),
                CAST(:attempts AS integer[]), CAST(:workers AS text[]), CAST(:sources AS text[]),
                CAST(:targets AS text[]), CAST(:data AS text[]))
         AS i (project_id, job_id, type, attempt, worker, from_state, to_state, data)
""")


async def insert(connection: Connection, events: Sequence[NewEvent]) -> None:
    """Append events in the order given."""
    await connection.execute(
        INSERT,
        {
            "project_ids": [event.project_id for event in events],
            "job_ids": [event.job_id for event in events],
            "types": [event.type for event in events],
            "attempts": [event.attempt for event in events],
            "workers": [event.worker for event in events],
            "sources": [event.source for event in events],
            "targets": [event.target for event in events],
            "data": [None if event.data is None else json.dumps(event.data) for event in events],
        },
    )
