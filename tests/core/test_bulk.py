"""Calls about many jobs: they go on past one that is at fault, and read no more of a job than its id."""

from typing import Any

import pytest

from app.db import job_lists
from app.db.statement import Statement
from app.domain.audit import Actor
from app.domain.job import Created
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.runtime import Runtime
from app.web.deps import Services
from tests.calls import PROJECT, completed

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
    outcome, _ = await core.bulk.rerun(ADMIN, JobFilter(types=frozenset({"t"})))
    assert (outcome.matched, outcome.changed, outcome.next_before) == (3, 2, None)


@pytest.mark.parametrize("walk", job_lists.WALKS)
def test_matching_jobs_are_selected_by_their_ids_alone(walk: str) -> None:
    statement = job_lists.id_listing(walk)
    assert [label for label, _ in statement.returns.leaves()] == ["last_id", "seen", "total", "job_id"]
    assert not any(table in statement.sql for table in ("payloads", "results", "runs"))


@pytest.mark.parametrize("method", ["cancel", "rerun"])
async def test_call_about_many_jobs_reads_no_whole_job_to_find_them(runtime: Runtime, method: str) -> None:
    await completed(runtime.services)
    sent: list[Statement[Any, Any]] = []
    runtime.database.on_statement = sent.append
    job_filter = JobFilter(types=frozenset({"t"}))
    await getattr(runtime.services.bulk, method)(ADMIN, job_filter, dry_run=True)
    assert job_lists.id_listing("state") in sent
    assert not [walk for walk in job_lists.WALKS if job_lists.listing(walk) in sent]
