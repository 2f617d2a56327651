"""Reads that share one query: each caller gets its own jobs and nobody else's."""

import asyncio

import pytest

from app.domain.ids import new_id
from app.web.deps import Services
from tests.calls import PROJECT, create


@pytest.mark.parametrize("documents", [False, True])
async def test_readers_in_one_query_get_only_what_each_named_in_its_order(core: Services, documents: bool) -> None:
    first, second, third = [await create(core) for _ in range(3)]
    both = [third.id, first.id]
    foreign, unknown, *found = await asyncio.gather(
        core.jobs.get_many(new_id(), [second.id], documents=documents),
        core.jobs.get_many(PROJECT, [new_id()], documents=documents),
        core.jobs.get_many(PROJECT, [second.id], documents=documents),
        core.jobs.get_many(PROJECT, both, documents=documents),
        core.jobs.get_many(PROJECT, both[::-1], documents=documents),
    )
    assert (foreign, unknown) == ({}, {})
    assert [list(jobs) for jobs in found] == [[second.id], both, both[::-1]]
