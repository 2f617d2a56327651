"""Reading the items of a job, page by page, consistently while it runs."""

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.jobs import Jobs
from app.db import item_errors, item_keys, item_pages
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.item import CountedItems, GroupedErrors, Item, ItemPage, ItemStatus
from app.domain.job import Job, JobRef

FILTER_WINDOW = 5_000
"""With a status filter at most this many items are examined for one page: a short page and a cursor, never a long
scan.
"""
MOST_COUNTED = 10_000
"""Failed items that are counted by code."""
MOST_CODES = 50


class Items:
    """The items of jobs, in the order in which they were first reported."""

    def __init__(self, database: Database, jobs: Jobs, *, max_answer_bytes: int) -> None:
        self._database = database
        self._jobs = jobs
        self._max_answer_bytes = max_answer_bytes

    async def page(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        after: int = 0,
        limit: int = 50,
        status: Collection[ItemStatus] | None = None,
        codes: Collection[str] | None = None,
        with_error: bool = False,
    ) -> ItemPage:
        """Return the items behind a position, as many as an answer holds. A page may be short; only a `next_position`
        of None is the end. Those with some error codes, or with any, are found without examining the others.
        """
        job = await self._jobs.get(project_id, job_id)
        return await self.of(job, after=after, limit=limit, status=status, codes=codes, with_error=with_error)

    async def of(
        self,
        job: Job,
        *,
        after: int = 0,
        limit: int = 50,
        status: Collection[ItemStatus] | None = None,
        codes: Collection[str] | None = None,
        with_error: bool = False,
    ) -> ItemPage:
        """Return items of a job that the caller has read, as `page` does."""
        window = limit + 1 if status is None and codes is None else FILTER_WINDOW
        seen = await self._database.slow(job.project_id).read(
            item_pages.select_window,
            job.ref,
            after=after,
            window=window,
            limit=limit,
            max_size=self._max_answer_bytes,
            status=status,
            codes=codes,
            with_error=with_error,
        )
        next_position = None
        if len(seen.items) < seen.matching:
            next_position = seen.items[-1].position
        elif seen.examined == window:
            next_position = seen.last_position
        return ItemPage(seen.items, next_position, seen.size)

    async def page_by_offset(
        self, project_id: UUID, job_id: UUID, *, offset: int, limit: int, status: ItemStatus | None = None
    ) -> CountedItems:
        """Return the items behind the first `offset`, as many as an answer holds, and their total; with a status, among
        the first 100,000.
        """
        await self._jobs.get(project_id, job_id)
        most: dict[str, int] = {"offset": offset, "limit": limit, "max_size": self._max_answer_bytes}
        if status is None:
            return await self._database.slow(project_id).read(_select_counted, JobRef(project_id, job_id), **most)
        return await self._database.slow(project_id).read(
            item_pages.select_by_offset, JobRef(project_id, job_id), status, **most
        )

    async def errors(self, project_id: UUID, job_id: UUID) -> GroupedErrors:
        """Count the failed items of a job by error code: the first 10,000, and of the codes the 50 most frequent."""
        return await self.errors_of(await self._jobs.get(project_id, job_id))

    async def errors_of(self, job: Job) -> GroupedErrors:
        """Count the failed items of a job that the caller has read, as `errors` does."""
        errors, counted, codes = await self._database.slow(job.project_id).read(
            item_errors.select_by_code, job.ref, window=MOST_COUNTED, limit=MOST_CODES
        )
        return GroupedErrors(errors, counted, counted >= job.counts.failed and codes <= MOST_CODES)

    async def by_key(self, project_id: UUID, job_ids: Sequence[UUID], key: str) -> dict[UUID, Item]:
        """Read the item that these jobs have under a key, by job, newest job first; jobs without it are left out."""
        return await self._database.slow(project_id).read(item_keys.select_by_key, project_id, job_ids, key)


async def _select_counted(
    connection: Connection, ref: JobRef, *, offset: int, limit: int, max_size: int
) -> CountedItems:
    """Read the items behind a position, which is their offset as well, and how many there are."""
    window = await item_pages.select_window(connection, ref, after=offset, window=limit, limit=limit, max_size=max_size)
    return CountedItems(window.items, await item_pages.count(connection, *ref))
