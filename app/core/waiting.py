"""Why jobs wait: read when it is asked for, never stored, and no part of a job, which depends on its version alone."""

from collections.abc import Sequence
from uuid import UUID

from app.db import waiting
from app.db.engine import Database
from app.domain.errors import NotFoundError
from app.domain.waiting import Waiting, explain


async def waiting_of(database: Database, project_id: UUID, job_ids: Sequence[UUID]) -> dict[UUID, Waiting]:
    """Return why jobs do not go on, all as of one moment and by one statement; unknown ones are left out."""
    if not job_ids:
        return {}
    found = await database.slow(project_id).read(waiting.select_facts, project_id, job_ids)
    return {job.id: explain(job) for job in found}


class Explanations:
    """Why the jobs of a project do not go on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, project_id: UUID, job_id: UUID) -> Waiting:
        """Return why one job does not go on; raises NotFoundError."""
        found = await waiting_of(self._database, project_id, [job_id])
        if job_id not in found:
            raise NotFoundError("There is no such job.")
        return found[job_id]

    async def of(self, project_id: UUID, job_ids: Sequence[UUID]) -> dict[UUID, Waiting]:
        """Return why some jobs do not go on; those that are gone are left out."""
        return await waiting_of(self._database, project_id, job_ids)
