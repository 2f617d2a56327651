"""Reading the items of a job, page by page, consistently while it runs."""

from collections.abc import Collection, Sequence
from uuid import UUID

from app.core.jobs import Jobs
from app.db import item_pages
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.item import CountedItems, Item, ItemPage, ItemStatus

FILTER_WINDOW = 5_000
"""With a status filter at most this many items are examined for one page: a short page and a cursor, never a long
scan.
"""


class Items:
    """The items of jobs, in the order in which they were first reported."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    async def page(
        self,
        project_id: UUID,
        job_id: UUID,
        *,
        after: int = 0,
        limit: int = 50,
        status: Collection[ItemStatus] | None = None,
    ) -> ItemPage:
        """Return the items behind a position. A page may be short; only a `next_position` of None is the end."""
        await self._jobs.get(project_id, job_id)
        window = limit + 1 if status is None else FILTER_WINDOW
        seen = await self._database.read(item_pages.select_window, project_id, job_id, after=after, window=window)
        matching = [item for item in seen if status is None or item.status in status]
        shown = matching[:limit]
        if len(matching) > limit:
            return ItemPage(tuple(shown), shown[-1].position)
        if len(seen) == window:
            return ItemPage(tuple(shown), seen[-1].position)
        return ItemPage(tuple(shown), None)

    async def page_by_offset(
        self, project_id: UUID, job_id: UUID, *, offset: int, limit: int, status: ItemStatus | None = None
    ) -> CountedItems:
        """Return the items behind the first `offset`, and their total; with a status, among the first 100,000."""
        await self._jobs.get(project_id, job_id)
        if status is None:
            return await self._database.read(_select_counted, project_id, job_id, offset=offset, limit=limit)
        return await self._database.read(
            item_pages.select_by_offset, project_id, job_id, status, offset=offset, limit=limit
        )

    async def by_key(self, project_id: UUID, job_ids: Sequence[UUID], key: str) -> dict[UUID, Item]:
        """Read the item that these jobs have under a key, by job, newest job first; jobs without it are left out."""
        return await self._database.read(item_pages.select_by_key, project_id, job_ids, key)


async def _select_counted(
    connection: Connection, project_id: UUID, job_id: UUID, *, offset: int, limit: int
) -> CountedItems:
    """Read the items behind a position, which is their offset as well, and how many there are."""
    found = await item_pages.select_window(connection, project_id, job_id, after=offset, window=limit)
    return CountedItems(tuple(found), await item_pages.count(connection, project_id, job_id))
