"""Jobs as bytes for answers: with their documents, and without; each version rendered once."""

from collections.abc import Collection
from uuid import UUID

from app.core.jobs import no_such_job
from app.domain.job import Job, JobRef
from app.live.renderings import Rendering, Renderings


class Bodies:
    """The bodies of all projects' jobs; every call names its own."""

    def __init__(self, details: Renderings, summaries: Renderings) -> None:
        self._details = details
        self._summaries = summaries

    async def detail(self, project_id: UUID, job_id: UUID) -> Rendering:
        """Give a job with payload, result and billing; raises NotFoundError."""
        found = await self._details.get(JobRef(project_id, job_id))
        if found is None:
            raise no_such_job()
        return found

    async def version(self, project_id: UUID, job_id: UUID) -> int:
        """Say which version a job has now, without reading more of it; raises NotFoundError."""
        version = await self._details.version(JobRef(project_id, job_id))
        if version is None:
            raise no_such_job()
        return version

    async def summaries(self, project_id: UUID, job_ids: Collection[UUID]) -> dict[UUID, Rendering]:
        """Give jobs without their documents; unknown ones are left out."""
        found = await self._summaries.get_many([JobRef(project_id, job_id) for job_id in job_ids])
        return {key[1]: rendering for key, rendering in found.items()}

    def summary_of(self, job: Job) -> bytes:
        """Give the body of a job that was read already, without its documents."""
        return self._summaries.of(job).body
