"""Lists of jobs: by cursor natively, by offset for the vendors whose contract wants one."""

from typing import Final
from uuid import UUID

from app.core.jobs import Jobs
from app.db import job_lists
from app.db.engine import Database
from app.db.job_lists import Found, Listed
from app.db.sizes import ANY_SIZE
from app.domain.answers import Include
from app.domain.job import Job
from app.domain.job_filter import CountedPage, JobFilter, JobIdPage, JobPage

FILTER_WINDOW: Final = 5_000
"""With a filter at most this many jobs are examined for one page: a short page and a cursor, never a long scan."""
MOST_BY_OFFSET: Final = 10_000
"""How far back a list by offset reaches. Skipped rows are read too, and an offset drifts while jobs are created."""


class JobLists:
    """The jobs of a project, newest first."""

    def __init__(self, database: Database, jobs: Jobs, *, max_answer_bytes: int) -> None:
        self._database = database
        self._jobs = jobs
        self._max_answer_bytes = max_answer_bytes

    async def page(
        self,
        project_id: UUID,
        job_filter: JobFilter,
        *,
        before: UUID | None = None,
        limit: int = 50,
        include: Include | None = None,
    ) -> JobPage:
        """Return the jobs older than `before`, as many as an answer holds. A page may be short; only a `next_before` of
        None is the end.
        """
        window = limit + 1 if job_filter.everything else FILTER_WINDOW
        found = await self._database.slow(project_id).read(
            job_lists.select_page,
            project_id,
            job_filter,
            before=before,
            window=window,
            limit=limit,
            max_size=self._max_answer_bytes,
        )
        last_id = found.jobs[-1].id if found.jobs else None
        page = JobPage(tuple(found.jobs), _next_before(found, last_id, window=window), found.size)
        return page if include is None else await self._with_documents(project_id, page, include)

    async def page_of_ids(
        self, project_id: UUID, job_filter: JobFilter, *, before: UUID | None, limit: int
    ) -> JobIdPage:
        """Return the ids of the jobs older than `before`, for callers that need nothing else of them."""
        found = await self._database.slow(project_id).read(
            job_lists.select_ids, project_id, job_filter, before=before, window=FILTER_WINDOW, limit=limit
        )
        last_id = found.jobs[-1] if found.jobs else None
        return JobIdPage(tuple(found.jobs), _next_before(found, last_id, window=FILTER_WINDOW))

    async def page_by_offset(
        self, project_id: UUID, job_filter: JobFilter, *, offset: int, limit: int, may_be_short: bool = False
    ) -> CountedPage:
        """Return jobs behind the newest `offset`, and their total; both among the newest 10,000.

        `may_be_short`: no more than an answer holds, for readers that continue behind what they got.
        """
        found = await self._database.slow(project_id).read(
            job_lists.select_page,
            project_id,
            job_filter,
            before=None,
            window=MOST_BY_OFFSET,
            limit=limit,
            offset=min(offset, MOST_BY_OFFSET),
            max_size=self._max_answer_bytes if may_be_short else ANY_SIZE,
        )
        return CountedPage(tuple(found.jobs), found.total)

    async def _with_documents(self, project_id: UUID, page: JobPage, include: Include) -> JobPage:
        """Read the documents as well; the page ends before the first that does not fit.

        A job that was deleted meanwhile drops out of the page.
        """
        found = await self._jobs.get_with_documents(project_id, [job.id for job in page.jobs], include)
        jobs: list[Job] = []
        size = 0
        for before, job in zip((None, *page.jobs), page.jobs, strict=False):
            whole = found.get(job.id)
            if whole is None:
                continue
            if whole.documents is None and before is not None:
                return JobPage(tuple(jobs), before.id, size)
            jobs.append(whole)
            size += whole.documents.size if whole.documents else 0
        return JobPage(tuple(jobs), page.next_before, size)


def _next_before(found: Listed[Found], last_id: UUID | None, *, window: int) -> UUID | None:
    """Return where the next page begins: behind the last job shown, or behind the last one examined."""
    if last_id is not None and len(found.jobs) < found.total:
        return last_id
    return found.last_id if found.seen == window else None
