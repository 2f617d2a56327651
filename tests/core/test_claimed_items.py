"""The items of claimed jobs: where they cannot be read, the jobs are handed out all the same."""

import pytest

from app.core.claimed_items import ClaimedItems
from app.db import claimed_items
from app.domain.errors import UnavailableError
from app.domain.ids import new_id
from app.domain.item import Item, ItemPage, NewItem
from app.domain.job import ClaimedJob, ClaimFilter, NewJob
from app.runtime import Runtime
from app.web.deps import Services
from tests.calls import PROJECT


async def claimed(core: Services, with_items: bool = False) -> ClaimedJob:
    await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", items=(NewItem(key="a"),)))
    claim_filter = ClaimFilter(project_id=PROJECT, types=("t",))
    taken = await core.claims.claim(
        claim_filter, worker="w", max_jobs=1, lease_seconds=300, wait_seconds=0, with_items=with_items
    )
    [job] = taken.value
    return job


def keys_of(page: ItemPage | None) -> list[str]:
    assert page is not None
    items: tuple[Item, ...] = page.items
    return [item.key for item in items]


async def test_items_come_where_the_claim_asks_for_them(core: Services) -> None:
    assert (await claimed(core)).items is None
    assert keys_of((await claimed(core, with_items=True)).items) == ["a"]


async def test_a_database_that_is_away_leaves_a_cursor_to_the_first_item(
    core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> object:
        raise UnavailableError("The database is not available just now.")

    monkeypatch.setattr(claimed_items, "select_unfinished", away)
    assert (await claimed(core, with_items=True)).items == ItemPage((), 0, 0)


async def test_jobs_without_items_cost_no_statement(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claimed_items, "select_unfinished", None)
    assert await ClaimedItems(runtime.database, max_answer_bytes=1).add(PROJECT, []) == []
