"""A call about many jobs goes on past one that is at fault."""

from typing import Any

import pytest

from app.domain.audit import Actor
from app.domain.job import Created
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.web.deps import Services
from tests.core.test_jobs import PROJECT, completed

ADMIN = Actor(Principal(PROJECT, "k", "admin", frozenset({Scope.ADMIN})))


async def test_fault_of_one_job_keeps_no_other_from_its_rerun(
    core: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = [await completed(core) for _ in range(3)]
    rerun = core.jobs.rerun

    async def faulty(project_id: Any, job_id: Any, **how: Any) -> Created:
        if job_id == ended[1].id:
            raise TypeError("can't subtract offset-naive and offset-aware datetimes")
        return await rerun(project_id, job_id, **how)

    monkeypatch.setattr(core.jobs, "rerun", faulty)
    outcome = await core.bulk.rerun(ADMIN, JobFilter(types=frozenset({"t"})))
    assert (outcome.matched, outcome.changed, outcome.next_before) == (3, 2, None)
