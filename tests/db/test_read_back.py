"""A row in which every column has a value of its own reads back with each value in its own field."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from app.db import claims, held_claims, job_lists, jobs, reports, tables, transitions
from app.db.claims import Claimed, Slot
from app.db.connection import Connection
from app.db.jobs import Fence
from app.db.reports import Admitted, HeldToken
from app.db.transitions import Move, Moved
from app.domain.item import Counts
from app.domain.job import ClaimFilter, Documents, Eta, Job, JobFailure, JobRef, Retry
from app.domain.job_filter import JobFilter
from app.domain.states import JobEvent, JobState
from tests.db import distinct
from tests.db.distinct import made_of

Row = dict[str, Any]


async def job_row(connection: Connection, state: JobState, **given: Any) -> Row:
    """A job, with its payload and a label."""
    values: Row = {"state": state.value, "priority": 7, "attempt": 3, "max_attempts": 5, "progress": 31.5}
    if state is not JobState.FAILED:
        values["completed_at"] = None
    job = await distinct.insert(connection, tables.jobs, **(values | given))
    await distinct.insert(connection, tables.payloads, **of_job(job))
    await distinct.insert(connection, tables.job_labels, **of_job(job), name="a", value="b")
    return job


def ref(job: Row) -> JobRef:
    return JobRef(job["project_id"], job["id"])


def of_job(job: Row) -> Row:
    return {"project_id": job["project_id"], "job_id": job["id"]}


async def run_row(connection: Connection, job: Row) -> Row:
    """The run of a job. More items were reported than declared."""
    values = {"progress": 62.5, "declared_total": 3, "samples": [1.5, 2.5, 3.5, 4.5]}
    return await distinct.insert(connection, tables.runs, **of_job(job), **values)


def ended_job(job: Row, **others: Any) -> Job:
    """What is to be read of a job without a run."""
    read = {
        "state": JobState(job["state"]),
        "counts": Counts(job["items_total"], job["items_processed"], job["items_failed"], job["items_skipped"]),
        "eta": None,
        "error": JobFailure(job["error_code"], job["error_message"]),
        "retry": Retry(job["retry_delay_seconds"], job["retry_factor"], job["retry_max_delay_seconds"]),
        "documents": None,
    }
    return made_of(Job, job, **(read | others))


def live_job(job: Row, run: Row, **others: Any) -> Job:
    """What is to be read of a job whose run says how far it is."""
    read = {
        "version": job["version"] + run["version"],
        "stage": run["stage"],
        "progress": run["progress"],
        "message": run["message"],
        "counts": Counts(run["items_count"], run["items_processed"], run["items_failed"], run["items_skipped"]),
        "eta": Eta(run["eta_seconds"], run["eta_low_seconds"], run["eta_high_seconds"]),
        "updated_at": max(job["updated_at"], run["updated_at"]),
    }
    return ended_job(job, **(read | others))


async def read_by_id(connection: Connection, job: Row) -> Job:
    (found,) = (await jobs.select_by_ids(connection, [ref(job)])).values()
    return found


async def read_with_documents(connection: Connection, job: Row) -> Job:
    (found,) = (await jobs.select_with_documents(connection, [ref(job)])).values()
    return found


def read_from_list(wanted: Callable[[Row], JobFilter]) -> Callable[[Connection, Row], Awaitable[Job]]:
    async def read(connection: Connection, job: Row) -> Job:
        listed = await job_lists.select_page(connection, job["project_id"], wanted(job), before=None, window=9, limit=9)
        assert (listed.seen, listed.last_id, listed.total) == (1, job["id"], 1)
        (found,) = listed.jobs
        return found

    return read


READS: dict[str, Callable[[Connection, Row], Awaitable[Job]]] = {
    "by id": read_by_id,
    "with documents": read_with_documents,
    "list of all": read_from_list(lambda _: JobFilter()),
    "list by state": read_from_list(lambda _: JobFilter(states=frozenset(JobState))),
    "list by label": read_from_list(lambda _: JobFilter(labels=(("a", "b"),))),
    "list of reruns": read_from_list(lambda job: JobFilter(original_job_id=job["original_job_id"])),
}


@pytest.mark.parametrize("way", READS)
async def test_live_job_reads_back(connection: Connection, way: str) -> None:
    job = await job_row(connection, JobState.RUNNING)
    run = await run_row(connection, job)
    payload = await distinct.stored(connection, tables.payloads, job_id=job["id"])
    documents = Documents(payload["payload"]) if way == "with documents" else None
    assert await READS[way](connection, job) == live_job(job, run, documents=documents)


@pytest.mark.parametrize("way", READS)
async def test_ended_job_reads_back(connection: Connection, way: str) -> None:
    job = await job_row(connection, JobState.FAILED)
    payload = await distinct.stored(connection, tables.payloads, job_id=job["id"])
    result = await distinct.insert(connection, tables.results, **of_job(job))
    whole = Documents(payload["payload"], result["result"], result["billing"])
    documents = whole if way == "with documents" else None
    assert await READS[way](connection, job) == ended_job(job, documents=documents)


@pytest.mark.parametrize("way", [way for way in READS if way != "list of reruns"])
async def test_what_a_job_does_not_have_reads_as_none(connection: Connection, way: str) -> None:
    job = await job_row(connection, JobState.PENDING, **{c.name: None for c in tables.jobs.c if c.nullable})
    payload = await distinct.stored(connection, tables.payloads, job_id=job["id"])
    documents = Documents(payload["payload"]) if way == "with documents" else None
    assert await READS[way](connection, job) == ended_job(job, error=None, documents=documents)


async def test_fence_reads_back(connection: Connection) -> None:
    job = await job_row(connection, JobState.FAILED)
    assert await jobs.select_fences(connection, [ref(job)]) == {
        ref(job): made_of(Fence, job, state=JobState.FAILED, lease_left=None),
    }


async def test_admitted_report_reads_back(connection: Connection) -> None:
    job = await job_row(connection, JobState.DISPATCHED)
    run = await run_row(connection, job)
    (admitted,) = (await reports.admit(connection, [HeldToken(*ref(job), job["token"])])).values()
    assert admitted == made_of(
        Admitted,
        run,
        source=JobState.DISPATCHED,
        target=JobState.RUNNING,
        queue=job["queue"],
        attempt=job["attempt"],
        worker=job["worker"],
        counts=Counts(run["items_count"], run["items_processed"], run["items_failed"], run["items_skipped"]),
        samples=((1.5, 2.5), (3.5, 4.5)),
        now=admitted.now,
    )


def moved_of(job: Row, /, **others: Any) -> Moved:
    return made_of(Moved, job, **({"job_id": job["id"], "job": None} | others))


async def test_job_that_is_still_held_reads_back(connection: Connection) -> None:
    job = await job_row(connection, JobState.RUNNING)
    run = await run_row(connection, job)
    checkpoint = await distinct.insert(connection, tables.checkpoints, **of_job(job))
    payload = await distinct.stored(connection, tables.payloads, job_id=job["id"])
    (claimed,) = await held_claims.select_still_held(connection, [held_claims.HeldClaim(*ref(job), job["token"])])
    assert claimed == Claimed(
        moved=moved_of(job, source=JobState.RUNNING, target=JobState.RUNNING, now=claimed.moved.now),
        token=job["token"],
        lease_seconds=(run["lease_ends_at"] - claimed.moved.now).total_seconds(),
        checkpoint=checkpoint["checkpoint"],
        job=live_job(job, run, documents=Documents(payload["payload"])),
    )


@pytest.mark.parametrize("by_id", [False, True])
async def test_claimed_job_reads_back_as_the_claim_leaves_it(connection: Connection, by_id: bool) -> None:
    job = await job_row(connection, JobState.RETRYING, engine=None, copying=False, scheduled_at=distinct.PAST)
    await distinct.insert(
        connection, tables.queues, project_id=job["project_id"], name=job["queue"], paused=False, concurrency_limit=None
    )
    checkpoint = await distinct.insert(connection, tables.checkpoints, **of_job(job))
    payload = await distinct.stored(connection, tables.payloads, job_id=job["id"])
    slot = Slot(UUID(int=1), "another worker", 77)
    wanted = ClaimFilter(project_id=job["project_id"], job_ids=(job["id"],) if by_id else None)
    (claimed,) = await claims.claim(connection, wanted, [slot])
    now = claimed.moved.now
    taken = job | {"state": "dispatched", "attempt": job["attempt"] + 1, "version": job["version"] + 1}
    taken |= {"overdue": False, "worker": slot.worker, "status_changed_at": now, "updated_at": now}
    assert claimed == Claimed(
        moved=moved_of(taken, source=JobState.RETRYING, target=JobState.DISPATCHED, now=now),
        token=slot.token,
        lease_seconds=slot.lease_seconds,
        checkpoint=checkpoint["checkpoint"],
        job=ended_job(taken, documents=Documents(payload["payload"])),
    )


@pytest.mark.parametrize(
    ("event", "way"),
    [
        *((event, transitions.move) for event in sorted(transitions.RETURNS_JOB)),
        *((event, transitions.move_at_once) for event in transitions.MOVES_AT_ONCE),
    ],
)
async def test_job_that_a_move_returns_is_the_job_that_is_read_then(
    connection: Connection, event: JobEvent, way: Any
) -> None:
    job = await job_row(connection, JobState.RUNNING, cancelled_at=None, cancelled_by=None)
    await run_row(connection, job)
    move = Move(project_id=job["project_id"], job_id=job["id"], token=job["token"], cancelled_by="a key")
    (moved,) = await way(connection, event, [move])
    assert moved.job == await read_by_id(connection, job)
    assert moved == moved_of(
        job | {"scheduled_at": moved.job.scheduled_at},
        source=JobState.RUNNING,
        target=moved.target,
        now=moved.now,
        job=moved.job,
    )
