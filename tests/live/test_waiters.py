"""Watches and claimers: woken by what concerns them, once, and gone when their caller is."""

import asyncio

import pytest

from app.domain.ids import new_id
from app.domain.job import NO_VERSION, ClaimFilter, JobRef
from app.domain.states import JobState
from app.live.idle_claims import ClaimableJob, IdleClaim, IdleClaims
from app.live.waiters import WOKEN_AT_ONCE, Waiters
from tests.dialects.samples import sample

A, B = JobRef(new_id(), new_id()), JobRef(new_id(), new_id())


async def test_a_change_between_registering_and_waiting_is_not_lost() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as watch:
        waiters.wake({A: None})
        assert await watch.changed(None)


async def test_a_watch_hears_only_of_its_own_jobs() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as watch:
        waiters.wake({B: None})
        assert not await watch.changed(0)


async def test_time_ends_a_wait() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as watch:
        assert not await watch.changed(0.01)


async def test_nothing_stays_of_a_watch_that_was_left() -> None:
    waiters = Waiters()

    async def wait() -> None:
        with waiters.watch([A, B]) as watch:
            watch.drop(1)
            await watch.changed(None)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    assert [seen.ref for seen in waiters.seen_versions()] == [A]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert list(waiters.seen_versions()) == []
    assert len(waiters) == 0


async def test_the_sweep_wakes_those_that_have_seen_another_version() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as old, waiters.watch([A]) as current:
        old.note(0, 1)
        current.note(0, 2)
        assert waiters.wake_outdated({A: 2}) == 1
        assert await old.changed(0)
        assert not await current.changed(0)


async def test_the_sweep_is_asked_about_what_all_have_seen_or_about_anything() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as old, waiters.watch([A]) as current, waiters.watch([B]) as other:
        old.note(0, 1)
        current.note(0, 2)
        other.note(0, 7)
        assert {seen.ref: seen.version for seen in waiters.seen_versions()} == {A: NO_VERSION, B: 7}
        old.note(0, 2)
        assert waiters.wake_outdated({A: 2}) == 0
        assert {seen.ref: seen.version for seen in waiters.seen_versions()} == {A: 2, B: 7}


async def test_a_job_that_is_gone_is_news_to_whom_it_was_there_for() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as seen, waiters.watch([A]) as reading:
        seen.note(0, 3)
        assert waiters.wake_outdated({A: None}) == 1
        assert await seen.changed(0)
        assert not await reading.changed(0)


async def test_a_job_that_is_told_needs_no_reading_unless_something_else_changed_too() -> None:
    waiters, job = Waiters(), sample(JobState.COMPLETED)
    with waiters.watch([A, B]) as watch:
        waiters.wake({A: job})
        assert watch.news() == [job]
        assert watch.news() == []
        waiters.wake({A: job, B: None})
        assert watch.news() is None
        assert watch.news() == []


async def test_a_crowd_is_woken_bit_by_bit_and_whole() -> None:
    waiters, crowd = Waiters(), 2 * WOKEN_AT_ONCE + 1
    watches = [waiters.watch([A]) for _ in range(crowd)]
    for watch in watches:
        watch.__enter__()
    waiters.wake({A: None})
    counts = []
    for _ in range(3):
        counts.append(sum(watch.cause is not None for watch in watches))
        await asyncio.sleep(0)
    assert counts == [WOKEN_AT_ONCE, 2 * WOKEN_AT_ONCE, crowd]


async def test_the_sweep_leaves_a_crowd_to_those_who_are_waking_it() -> None:
    waiters, crowd = Waiters(), WOKEN_AT_ONCE + 1
    watches = [waiters.watch([A]) for _ in range(crowd)]
    for watch in watches:
        watch.__enter__()
        watch.note(0, 1)
    waiters.wake({A: sample(JobState.COMPLETED)})
    assert list(waiters.seen_versions()) == []
    assert waiters.wake_outdated({A: 2}) == 0
    await asyncio.sleep(0)
    assert all(watch.news() for watch in watches)
    assert [seen.ref for seen in waiters.seen_versions()] == [A]


async def test_a_drain_ends_waits_that_are_open_and_that_come() -> None:
    waiters = Waiters()
    with waiters.watch([A]) as watch:
        waiting = asyncio.create_task(watch.changed(None))
        await asyncio.sleep(0)
        waiters.drain()
        assert not await waiting
    with waiters.watch([A]) as late:
        assert not await late.changed(None)


def claimer_filter(**wanted: object) -> ClaimFilter:
    return ClaimFilter(project_id=A[0], **wanted)  # type: ignore[arg-type]


def test_one_job_wakes_one_claimer_the_oldest_that_fits() -> None:
    claimers = IdleClaims()
    elsewhere = claimers.join(claimer_filter(queues=("other",)))
    first, second = claimers.join(claimer_filter()), claimers.join(claimer_filter(types=("t",)))
    claimers.wake_for([ClaimableJob(A[0], "default", "t")])
    assert [one.woken.is_set() for one in (elsewhere, first, second)] == [False, True, False]
    claimers.wake_for([ClaimableJob(A[0], "default", "t")])
    assert second.woken.is_set()


def test_a_job_of_another_project_wakes_nobody() -> None:
    claimers = IdleClaims()
    mine = claimers.join(claimer_filter())
    claimers.wake_for([ClaimableJob(B[0], "default", "t")])
    assert not mine.woken.is_set()


def test_an_offer_is_compared_with_the_claims_alone_that_may_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen hundred idle claims of other types, queues and projects, and a thousand jobs."""
    claimers = IdleClaims()
    for n in range(500):
        claimers.join(claimer_filter(types=(f"other-{n}",)))
        claimers.join(claimer_filter(queues=(f"other-{n}",), types=("t",)))
        claimers.join(ClaimFilter(project_id=B[0]))
    mine = [claimers.join(claimer_filter(queues=("q",), types=("t", "u"))) for _ in range(1000)]
    compared: list[IdleClaim] = []
    fits = IdleClaim.fits

    def counted(claim: IdleClaim, job: ClaimableJob) -> bool:
        compared.append(claim)
        return fits(claim, job)

    monkeypatch.setattr(IdleClaim, "fits", counted)

    claimers.wake_for([ClaimableJob(A[0], "q", "t")] * 1000)

    assert all(claim.woken.is_set() for claim in mine)
    assert len(compared) == 1000


def test_a_claim_that_names_many_pairs_is_found_by_its_types_and_takes_no_other_queue() -> None:
    claimers = IdleClaims()
    wide = claimers.join(
        claimer_filter(queues=tuple(f"q{n}" for n in range(100)), types=tuple(f"t{n}" for n in range(100)))
    )
    claimers.wake_for([ClaimableJob(A[0], "q100", "t7"), ClaimableJob(A[0], "q7", "t100")])
    assert not wide.woken.is_set()
    claimers.wake_for([ClaimableJob(A[0], "q99", "t99")])
    assert wide.woken.is_set()


def test_a_claim_that_was_woken_in_vain_is_behind_those_that_were_not() -> None:
    claimers = IdleClaims()
    first, second = claimers.join(claimer_filter()), claimers.join(claimer_filter(types=("t",)))
    claimers.wake_filters([first.filter])
    claimers.listen(first)
    claimers.wake_for([ClaimableJob(A[0], "q", "t")])
    assert (first.woken.is_set(), second.woken.is_set()) == (False, True)


def test_nothing_is_left_of_claims_that_have_gone() -> None:
    claimers = IdleClaims()
    gone = [claimers.join(claimer_filter(queues=("q", "q"), types=(f"t{n}",))) for n in range(3)]
    claimers.wake_for([ClaimableJob(A[0], "q", "t1")])
    for claim in gone:
        claimers.leave(claim)
    assert (len(claimers), claimers.filters(), claimers._listening) == (0, [], {})


def test_two_hundred_idle_claimers_ask_the_sweep_one_question() -> None:
    claimers = IdleClaims()
    for _ in range(200):
        claimers.join(claimer_filter(queues=("default",)))
    assert claimers.filters() == [claimer_filter(queues=("default",))]
