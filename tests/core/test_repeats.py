"""Repeats under an Idempotency-Key that meet in a batch, that go on after a cut, and reruns beside another one."""

from typing import Any
from uuid import UUID

import pytest

from app.core.batches.calls import apply_worker_calls, call_digest
from app.domain.audit import Actor
from app.domain.errors import InvalidError, InvalidTransitionError, LeaseLostError, UnavailableError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.job import Created, Job
from app.domain.job_filter import JobFilter
from app.domain.principal import Principal, Scope
from app.domain.worker_call import Complete, Ended, Fail, LogLine, Release, Replayed, Report, Reported, WorkerCall
from app.live.outcomes import Deferred
from app.runtime import Runtime
from app.web.deps import Services
from tests import sql
from tests.calls import PROJECT, claim, create, held

IDS: dict[str, Any] = {"project_id": UUID(int=1), "job_id": UUID(int=2), "token": UUID(int=3)}
ADMIN = Actor(Principal(PROJECT, "k", "me", frozenset({Scope.ADMIN})), "", "")


@pytest.mark.parametrize(
    ("call", "digest"),
    [
        (Complete(**IDS, result={"b": 1.0, "a": "ö"}), "77af23c58eced7d8"),
        (Release(**IDS), "d1fa00d9b8edf7c1"),
        (Fail(**IDS, code="x", message="m"), "e83b4663d066b088"),
    ],
    ids=["complete", "release", "fail"],
)
def test_fingerprint_of_an_end_is_that_of_older_versions(call: WorkerCall, digest: str) -> None:
    """Whose jobs ended before an upgrade, and whose worker repeats its call after it."""
    assert call_digest(call).hex().startswith(digest)


async def test_repeats_in_one_batch_are_one(runtime: Runtime, core: Services) -> None:
    await create(core)
    claimed = await claim(core)
    report = Report(**held(claimed), logs=(LogLine("info", "once"),), idempotency=Idempotency("r", "k", b"a"))
    other = Report(**held(claimed), logs=(LogLine("info", "other"),), idempotency=Idempotency("r", "k", b"b"))
    fail = Fail(**held(claimed), code="c", message="m", idempotency=Idempotency("f", "k", b"a"))
    async with runtime.database.transaction() as connection:
        applied = await apply_worker_calls(connection, [report, report, other, fail, report, fail])
        first, *again, second_fail = applied.outcomes
        assert isinstance(first, Reported)
        assert again[0] == again[3] == Replayed(first)
        assert isinstance(again[1], InvalidError)
        assert isinstance(again[2], Ended)
        assert second_fail == Replayed(again[2])
        assert await sql.fetch_value(connection, "SELECT string_agg(message, ',') FROM job_logs") == "once"


async def test_another_request_has_its_turn_after_one_that_is_refused(runtime: Runtime, core: Services) -> None:
    await create(core)
    claimed = await claim(core)
    stale = Complete(**held(claimed) | {"token": new_id()}, idempotency=Idempotency("r", "k", b"a"))
    right = Complete(**held(claimed), idempotency=Idempotency("r", "k", b"b"))
    async with runtime.database.transaction() as connection:
        applied = await apply_worker_calls(connection, [stale, stale, right])
        assert [type(outcome) for outcome in applied.outcomes] == [LeaseLostError, LeaseLostError, Deferred]
    outcomes = await core.leases.submit_many([stale, stale, right])
    assert [type(outcome) for outcome in outcomes] == [LeaseLostError, LeaseLostError, Ended]


async def _ended(core: Services, *statuses: ItemStatus) -> Job:
    """Return a job that has ended with an item of each status."""
    job = await create(core)
    claimed = await claim(core)
    items = tuple(ItemUpdate(key=str(n), status=status) for n, status in enumerate(statuses))
    await core.leases.submit(Report(**held(claimed), items=items, items_total=len(items) + 7))
    await core.leases.submit(Complete(**held(claimed)))
    return job


DONE, FAILED = ItemStatus.COMPLETED, ItemStatus.FAILED


@pytest.mark.parametrize("only_failed", [True, False])
async def test_rerun_beside_a_live_one_of_other_items_is_refused_with_it(core: Services, only_failed: bool) -> None:
    job = await _ended(core, DONE, FAILED)
    live = (await core.jobs.rerun(PROJECT, job.id, only_failed_items=only_failed)).job
    claimed = await claim(core)
    # What its worker reports changes nothing of what it was created with.
    await core.leases.submit(Report(**held(claimed), items=tuple(ItemUpdate(key=key) for key in "abc"), items_total=2))
    with pytest.raises(InvalidTransitionError) as refused:
        await core.jobs.rerun(PROJECT, job.id, only_failed_items=not only_failed)
    assert refused.value.job is not None
    assert refused.value.job.id == live.id
    same = await core.jobs.rerun(PROJECT, job.id, only_failed_items=only_failed)
    assert (same.job.id, same.replayed) == (live.id, True)
    keyed = Idempotency("r", "k", b"a")
    assert not (await core.jobs.rerun(PROJECT, job.id, only_failed_items=not only_failed, idempotency=keyed)).replayed


@pytest.mark.parametrize("statuses", [(FAILED, FAILED), (DONE, DONE), ()])
async def test_rerun_beside_a_live_one_of_the_same_items_is_that_one(
    core: Services, statuses: tuple[ItemStatus, ...]
) -> None:
    job = await _ended(core, *statuses)
    live = (await core.jobs.rerun(PROJECT, job.id)).job
    assert (await core.jobs.rerun(PROJECT, job.id)).job.id == live.id
    if FAILED in statuses:
        assert (await core.jobs.rerun(PROJECT, job.id, only_failed_items=True)).job.id == live.id
    else:
        with pytest.raises(InvalidError, match="No item of this job failed"):
            await core.jobs.rerun(PROJECT, job.id, only_failed_items=True)


async def test_bulk_rerun_that_was_cut_off_is_finished_by_its_repeat(
    core: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await core.jobs.cancel(PROJECT, (await create(core)).id, by=None)
    wanted, key = JobFilter(types=frozenset({"t"})), Idempotency("r", "k", b"a")
    rerun, calls = core.jobs.rerun, 0

    async def cut(project_id: UUID, job_id: UUID, **how: Any) -> Created:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise UnavailableError("away")
        return await rerun(project_id, job_id, **how)

    monkeypatch.setattr(core.jobs, "rerun", cut)
    with pytest.raises(UnavailableError):
        await core.bulk.rerun(ADMIN, wanted, idempotency=key)
    first = (await core.lists.page(PROJECT, JobFilter())).jobs[0]
    # It has ended meanwhile, and would match.
    await core.jobs.cancel(PROJECT, first.id, by=None)
    for _ in range(2):
        done = await core.bulk.rerun(ADMIN, wanted, idempotency=key)
        assert (done.value.matched, done.value.changed, done.replayed) == (3, 3, True)
        assert len((await core.lists.page(PROJECT, JobFilter())).jobs) == 6
