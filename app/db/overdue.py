"""Attempts that take longer than expected: found by `sweeps`, marked here, once each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.connection import Connection
from app.db.jobs import REQUESTED
from app.db.lookups import state_among, target_by_key
from app.db.parameters import Batch
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.job import JobRef
from app.domain.states import LEASED


@dataclass(frozen=True, slots=True)
class OverdueJob:
    """A job that was marked, with what its line in the log says."""

    project_id: UUID
    job_id: UUID
    queue: str
    worker: str | None

    @property
    def ref(self) -> JobRef:
        """The job and its project."""
        return JobRef(self.project_id, self.job_id)


# A claim or an end since the look is seen here, where the row is locked.
MARK: Final = Statement(
    f"""
    WITH late AS MATERIALIZED (
        SELECT j.project_id, j.id FROM {REQUESTED}
        WHERE j.expected_end_at <= statement_timestamp() AND NOT j.overdue AND {state_among(LEASED)}
    ), marked AS (
        UPDATE jobs j SET overdue = true, version = j.version + 1, updated_at = statement_timestamp()
        FROM late d WHERE {target_by_key("j", project_id="d.project_id", id="d.id")}
        RETURNING j.project_id, j.id AS job_id, j.queue, j.worker, j.attempt, j.state, j.expected_seconds
    ), history AS (
        INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state, data)
        SELECT m.project_id, m.job_id, 'job.overdue', statement_timestamp(), m.attempt, m.worker, m.state, m.state,
               json_build_object('expected_seconds', m.expected_seconds)
        FROM marked m
    )
    SELECT :returned FROM marked m
    """,
    Batch(JobRef),
    Projection(OverdueJob, "m"),
)


async def mark(connection: Connection, jobs: Sequence[JobRef]) -> list[OverdueJob]:
    """Mark those of these jobs whose attempt should have ended; the caller has locked them in order."""
    return await connection.fetch(MARK, jobs)
