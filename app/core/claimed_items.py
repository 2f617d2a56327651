"""The unfinished items of claimed jobs, for the workers that ask for them with their claims."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from app.core.items import FILTER_WINDOW
from app.db import claimed_items
from app.db.engine import Database
from app.domain.errors import JobtrackError
from app.domain.item import ItemPage
from app.domain.job import ClaimedJob

log = structlog.get_logger(__name__)

MOST_OF_A_JOB = 1_000
"""Unfinished items of one job. As many are examined for them as for a page, of many jobs the first thousand each."""

_NONE = ItemPage((), None, 0)
_UNREAD = ItemPage((), 0, 0)
"""Without an item, and with a cursor to read them from the first on."""


class ClaimedItems:
    """Adds to claimed jobs the first of their unfinished items, as many as the answer has room for."""

    def __init__(self, database: Database, *, max_answer_bytes: int) -> None:
        self._database = database
        self._max_answer_bytes = max_answer_bytes

    async def add(self, project_id: UUID, claimed: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """Return the jobs with their items. The jobs are claimed already: where the items cannot be read now, a worker
        gets a cursor in their place.
        """
        # Most jobs have no items when they are claimed, and cost nothing here.
        with_items = [claim.job.id for claim in claimed if claim.job.counts.total]
        pages: dict[UUID, ItemPage] = {}
        if with_items:
            room = self._max_answer_bytes - sum(claim.size for claim in claimed)
            try:
                pages = await self._database.slow(project_id).read(
                    claimed_items.select_unfinished,
                    project_id,
                    with_items,
                    window=max(MOST_OF_A_JOB, FILTER_WINDOW // len(with_items)),
                    limit=MOST_OF_A_JOB,
                    max_size=room,
                )
            except JobtrackError as error:
                log.warning("the items of claimed jobs could not be read", jobs=len(with_items), error=error.message)
                pages = dict.fromkeys(with_items, _UNREAD)
        return [_with(claim, pages.get(claim.job.id, _NONE)) for claim in claimed]


def _with(claim: ClaimedJob, page: ItemPage) -> ClaimedJob:
    return replace(claim, items=page, size=claim.size + page.size)
