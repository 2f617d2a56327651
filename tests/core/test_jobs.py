"""Creating, rerunning and cancelling through the whole core of one process."""

import asyncio
from uuid import UUID

import pytest

from app.core.waits import EndedBy, Until
from app.domain.errors import (
    AlreadyTerminalError,
    ForbiddenError,
    InvalidError,
    InvalidTransitionError,
    NotFoundError,
)
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.item import ItemStatus, ItemUpdate, NewItem
from app.domain.job import Claim, ClaimFilter, Job, NewJob
from app.domain.states import JobState
from app.domain.worker_call import Complete, Ended, Fail, Release, Report, Reported
from app.runtime import Runtime
from app.web.deps import Services
from tests.calls import PROJECT, claim, completed, create, held


async def test_the_same_key_and_request_make_one_job(core: Services) -> None:
    key = Idempotency("POST /v1/jobs", "k", b"same")
    made = await asyncio.gather(
        *(core.jobs.create(PROJECT, NewJob(id=new_id(), type="t", payload=[1]), idempotency=key) for _ in range(20))
    )
    assert len({one.job.id for one in made}) == 1
    assert sorted(one.replayed for one in made) == [False] + [True] * 19
    assert all(one.job.documents is not None and one.job.documents.payload == [1] for one in made)


async def test_the_same_key_with_another_request_is_refused_alone(core: Services) -> None:
    await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"), idempotency=Idempotency("r", "k", b"one"))
    other, plain = await asyncio.gather(
        core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"), idempotency=Idempotency("r", "k", b"two")),
        core.jobs.create(PROJECT, NewJob(id=new_id(), type="t")),
        return_exceptions=True,
    )
    assert isinstance(other, InvalidError)
    assert not isinstance(plain, BaseException)


async def test_another_project_sees_nothing_of_a_job(core: Services) -> None:
    job = await create(core)
    stranger = new_id()
    with pytest.raises(NotFoundError):
        await core.jobs.get(stranger, job.id)
    with pytest.raises(NotFoundError):
        await core.jobs.cancel(stranger, job.id, by=None)
    assert (await core.waits.wait(stranger, [job.id], seconds=5)).jobs == {}
    assert (await core.jobs.get(PROJECT, job.id)).state is JobState.PENDING


async def test_two_reruns_at_once_make_one_job(core: Services) -> None:
    job = await completed(core)
    first, second = await asyncio.gather(*(core.jobs.rerun(PROJECT, job.id) for _ in range(2)))
    assert first.job.id == second.job.id
    assert first.job.original_job_id == job.id
    assert {first.replayed, second.replayed} == {True, False}


async def test_a_rerun_of_a_live_job_is_refused(core: Services) -> None:
    with pytest.raises(InvalidTransitionError):
        await core.jobs.rerun(PROJECT, (await create(core)).id)


async def test_a_rerun_takes_only_the_failed_items_if_asked(core: Services) -> None:
    await create(core, items=tuple(NewItem(key=key) for key in "abc"), labels={"a": "b"}, payload={"x": 1})
    claimed = await claim(core)
    updates = (
        ItemUpdate(key="a", status=ItemStatus.COMPLETED),
        ItemUpdate(key="b", status=ItemStatus.FAILED, error_code="broken"),
    )
    await core.leases.submit(Report(**held(claimed), items=updates))
    ended = await core.leases.submit(Complete(**held(claimed)))
    assert isinstance(ended, Ended)
    assert ended.job.state is JobState.COMPLETED_WITH_FAILURES
    again = (await core.jobs.rerun(PROJECT, ended.job.id, only_failed_items=True)).job
    page = await core.items.page(PROJECT, again.id)
    assert [(item.key, item.status, item.error_code) for item in page.items] == [("b", ItemStatus.QUEUED, None)]
    assert again.counts.total == 1
    assert (again.labels, again.documents and again.documents.payload) == ({"a": "b"}, {"x": 1})
    shown = {item.key: item.status for item in (await core.items.page(PROJECT, ended.job.id)).items}
    assert shown["c"] is ItemStatus.CANCELLED


async def test_a_rerun_without_failed_items_changes_nothing(core: Services) -> None:
    job = await completed(core)
    with pytest.raises(InvalidError):
        await core.jobs.rerun(PROJECT, job.id, only_failed_items=True)
    again = await core.jobs.rerun(PROJECT, job.id)
    assert not again.replayed


async def test_cancelling_a_held_job_ends_when_its_worker_acknowledges(core: Services) -> None:
    job = await create(core)
    claimed = await claim(core)
    assert (await core.jobs.cancel(PROJECT, job.id, by="me")).value.state is JobState.CANCELLING
    assert (await core.jobs.cancel(PROJECT, job.id, by="you")).value.cancelled_by == "me"
    reported = await core.leases.submit(Report(**held(claimed), progress=50.0))
    assert isinstance(reported, Reported)
    assert reported.cancel_requested
    ended = await core.leases.submit(Release(**held(claimed)))
    assert isinstance(ended, Ended)
    assert ended.job.state is JobState.CANCELLED
    with pytest.raises(AlreadyTerminalError):
        await core.jobs.cancel(PROJECT, (await completed(core)).id, by=None)


async def test_a_job_created_already_claimed_is_its_creators(core: Services) -> None:
    made = await core.jobs.create(
        PROJECT, NewJob(id=new_id(), type="t", engine="celery", claim=Claim(worker="celery-1", lease_seconds=None))
    )
    assert made.job.state is JobState.DISPATCHED
    assert made.lease is not None
    assert made.lease.expires_in_seconds is None
    token = made.lease.token
    await core.leases.submit(Report(project_id=PROJECT, job_id=made.job.id, token=token, stage="s"))
    cancelling, _ = await core.jobs.cancel(PROJECT, made.job.id, by=None)
    assert cancelling.state is JobState.CANCELLING


async def test_a_heartbeat_changes_neither_version_nor_updated_at(core: Services) -> None:
    job = await create(core)
    claimed = await claim(core)
    await core.leases.submit(Report(**held(claimed), progress=1.0))
    before = await core.jobs.get(PROJECT, job.id)
    await core.leases.submit(Report(**held(claimed)))
    after = await core.jobs.get(PROJECT, job.id)
    assert after == before


async def test_a_checkpoint_reaches_the_next_attempt(core: Services) -> None:
    await create(core)
    claimed = await claim(core)
    await core.leases.submit(Report(**held(claimed), checkpoint={"at": 7}))
    await core.leases.submit(Fail(**held(claimed), code="c", message="m", retry_after_seconds=0))
    again = await claim(core)
    assert again.checkpoint == {"at": 7}
    assert again.job.attempt == 2


async def test_a_dead_workers_job_is_offered_again(core: Services) -> None:
    job = await create(core)
    await claim(core, lease_seconds=1)
    again = await claim(core, wait_seconds=10)
    assert again.job.id == job.id
    assert again.job.attempt == 2
    assert again.job.error is not None
    assert again.job.error.code == "lease_expired"


async def test_waits_end_on_all_any_and_change(core: Services) -> None:
    one, two = await create(core), await create(core)
    ids = [one.id, two.id]
    waits = {
        until: asyncio.create_task(
            core.waits.wait(PROJECT, ids, seconds=20, until=until, versions={one.id: one.version, two.id: two.version})
        )
        for until in Until
    }
    first = await claim(core)
    assert (await waits[Until.CHANGE]).jobs[first.job.id].state is JobState.DISPATCHED
    await core.leases.submit(Complete(**held(first)))
    await waits[Until.ANY]
    assert not waits[Until.ALL].done()
    await core.leases.submit(Complete(**held(await claim(core))))
    assert {job.state for job in (await waits[Until.ALL]).jobs.values()} == {JobState.COMPLETED}


async def test_a_drain_answers_waits_with_the_current_states(core: Services, runtime: Runtime) -> None:
    job = await create(core)
    waiting = asyncio.create_task(core.waits.wait(PROJECT, [job.id], seconds=-1))
    while not len(runtime.waiters):
        await asyncio.sleep(0)
    runtime.drain()
    found, ended_by = await waiting
    assert (found[job.id].state, ended_by) == (JobState.PENDING, EndedBy.SHUTDOWN)


async def test_a_claimer_that_leaves_during_its_claim_gives_the_job_back(core: Services, runtime: Runtime) -> None:
    job = await create(core)
    leaving = asyncio.create_task(claim(core))
    while not len(runtime.idle_claims):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    again = await claim(core)
    assert (again.job.id, again.job.attempt) == (job.id, 1)


async def test_a_replayed_create_never_hands_out_a_later_holders_token(core: Services) -> None:
    key = Idempotency("POST /v1/jobs", "claimed", b"same")

    async def create_claimed() -> tuple[Job, UUID | None]:
        job = NewJob(id=new_id(), type="t", claim=Claim(worker="first", lease_seconds=30))
        made = await core.jobs.create(PROJECT, job, idempotency=key)
        return made.job, made.lease.token if made.lease else None

    job, token = await create_claimed()
    assert token is not None
    assert (await create_claimed())[1] == token
    await core.leases.submit(Release(project_id=PROJECT, job_id=job.id, token=token))
    later = await claim(core)
    assert later.job.id == job.id
    assert await create_claimed() == (later.job, None)


async def test_a_claim_by_id_is_woken_when_the_job_can_be_taken(core: Services) -> None:
    job = await create(core, engine="celery")
    wanted = ClaimFilter(project_id=PROJECT, job_ids=(job.id,))
    (held_now,), _ = await core.claims.claim(wanted, worker="a", max_jobs=1, lease_seconds=30, wait_seconds=0)
    waiting = asyncio.create_task(core.claims.claim(wanted, worker="b", max_jobs=1, lease_seconds=30, wait_seconds=20))
    await core.leases.submit(Release(**held(held_now)))
    async with asyncio.timeout(10):
        (claimed,), _ = await waiting
    assert claimed.job.worker == "b"


async def test_a_rerun_stays_within_the_queues_of_the_key(core: Services) -> None:
    job = await completed(core)
    with pytest.raises(ForbiddenError):
        await core.jobs.rerun(PROJECT, job.id, queues=frozenset({"other"}))


async def test_a_wait_for_change_ends_at_once_where_nothing_can_change(core: Services) -> None:
    job = await completed(core)
    async with asyncio.timeout(10):
        found, ended_by = await core.waits.wait(
            PROJECT, [job.id], seconds=-1, until=Until.CHANGE, versions={job.id: job.version}
        )
    assert (found[job.id].version, ended_by) == (job.version, EndedBy.CONDITION)
