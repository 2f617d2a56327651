"""Lists of jobs: by cursor natively, by offset for the vendors whose contract wants one."""

from typing import Final
from uuid import UUID

from app.core.jobs import Jobs
from app.db import job_lists
from app.db.engine import Database
from app.db.job_lists import Found, Listed
from app.domain.job import Job
from app.domain.job_filter import CountedPage, JobFilter, JobIdPage, JobPage

FILTER_WINDOW: Final = 5_000
"""With a filter at most this many jobs are examined for one page: a short page and a cursor, never a long scan."""
MOST_BY_OFFSET: Final = 10_000
"""How far back a list by offset reaches. Skipped rows are read too, and an offset drifts while jobs are created."""


class JobLists:
    """The jobs of a project, newest first."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    async def page(
        self,
        project_id: UUID,
        job_filter: JobFilter,
        *,
        before: UUID | None = None,
        limit: int = 50,
        documents: bool = False,
    ) -> JobPage:
        """Return the jobs older than `before`. A page may be short; only a `next_before` of None is the end."""
        window = limit + 1 if job_filter.everything else FILTER_WINDOW
        found = await self._database.read(
            job_lists.select_page, project_id, job_filter, before=before, window=window, limit=limit + 1
        )
        shown = tuple(found.jobs[:limit])
        last_id = shown[-1].id if shown else None
        next_before = _next_before(found, last_id, limit=limit, window=window)
        return JobPage(await self._whole(project_id, shown) if documents else shown, next_before)

    async def page_of_ids(
        self, project_id: UUID, job_filter: JobFilter, *, before: UUID | None, limit: int
    ) -> JobIdPage:
        """Return the ids of the jobs older than `before`, for callers that need nothing else of them."""
        found = await self._database.read(
            job_lists.select_ids, project_id, job_filter, before=before, window=FILTER_WINDOW, limit=limit + 1
        )
        shown = tuple(found.jobs[:limit])
        last_id = shown[-1] if shown else None
        return JobIdPage(shown, _next_before(found, last_id, limit=limit, window=FILTER_WINDOW))

    async def page_by_offset(self, project_id: UUID, job_filter: JobFilter, *, offset: int, limit: int) -> CountedPage:
        """Return jobs behind the newest `offset`, and their total; both among the newest 10,000."""
        found = await self._database.read(
            job_lists.select_page,
            project_id,
            job_filter,
            before=None,
            window=MOST_BY_OFFSET,
            limit=limit,
            offset=min(offset, MOST_BY_OFFSET),
        )
        return CountedPage(tuple(found.jobs), found.total)

    async def _whole(self, project_id: UUID, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """Read the documents as well; a job that was deleted meanwhile drops out of the page."""
        found = await self._jobs.get_many(project_id, [job.id for job in jobs], documents=True)
        return tuple(found.values())


def _next_before(found: Listed[Found], last_id: UUID | None, *, limit: int, window: int) -> UUID | None:
    """Return where the next page begins: behind the last job shown, or behind the last one examined."""
    if len(found.jobs) > limit:
        return last_id
    return found.last_id if found.seen == window else None
