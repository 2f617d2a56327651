"""Reads that share one query: each caller gets its own jobs and nobody else's."""

import asyncio
from functools import partial

import pytest

from app.domain.answers import Include
from app.domain.ids import new_id
from app.web.deps import Services
from tests.calls import PROJECT, create


@pytest.mark.parametrize("documents", [False, True])
async def test_readers_in_one_query_get_only_what_each_named_in_its_order(core: Services, documents: bool) -> None:
    first, second, third = [await create(core) for _ in range(3)]
    read = partial(core.jobs.get_with_documents, include=Include(payload=True)) if documents else core.jobs.get_many
    both = [third.id, first.id]
    foreign, unknown, *found = await asyncio.gather(
        read(new_id(), [second.id]),
        read(PROJECT, [new_id()]),
        read(PROJECT, [second.id]),
        read(PROJECT, both),
        read(PROJECT, both[::-1]),
    )
    assert (foreign, unknown) == ({}, {})
    assert [list(jobs) for jobs in found] == [[second.id], both, both[::-1]]
