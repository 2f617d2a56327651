"""Places in a limited queue: which calls need one, which count without, and what the others are answered."""

from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.core.batches.create import apply_creations
from app.core.batches.queue_limit import QueueLimit
from app.db.engine import Database
from app.domain.errors import JobtrackError, LeaseLostError, QueueFullError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.job import Claim, Created, CreateRequest, NewJob
from app.domain.states import LEASED, JobState
from app.domain.worker_call import Ended, Replayed, Reported
from app.live.group_writer import GroupWriter
from tests import factories, sql
from tests.core.worker_calls import (
    FULL_REPORT,
    apply,
    apply_in_a_transaction,
    complete,
    fail,
    put,
    release,
    report,
    whole,
)
from tests.factories import Made

KEY = Idempotency(route="r", key="k", fingerprint=b"one")


async def limit(database: Database, project_id: UUID, places: int | None, queue: str = "default") -> None:
    async with database.transaction() as connection:
        await factories.queue(connection, project_id, queue)
        change = "UPDATE queues SET concurrency_limit = :places WHERE project_id = :project AND name = :queue"
        await sql.execute(connection, change, places=places, project=project_id, queue=queue)


@pytest.fixture
async def late(database: Database, project_id: UUID) -> Made:
    """A job whose lease ran out, in a queue whose only place another job has taken."""
    await limit(database, project_id, 1)
    await put(database, project_id)
    return await put(database, project_id, JobState.RETRYING, items=1)


async def create(database: Database, *requests: CreateRequest) -> list[Created | JobtrackError]:
    return await GroupWriter(database, partial(apply_creations, QueueLimit()), lambda _: None).submit_many(requests)


def claimed(project_id: UUID, queue: str = "default", key: Idempotency | None = None) -> CreateRequest:
    job = NewJob(id=new_id(), type="t", queue=queue, claim=Claim("w", 30))
    return CreateRequest(project_id, job, key, token=uuid4())


@pytest.mark.parametrize(
    "said",
    [{}, {"progress": 5.0}, FULL_REPORT, {"items": (ItemUpdate(key="file-1", status=ItemStatus.COMPLETED),)}],
    ids=["a heartbeat", "progress", "everything", "items"],
)
async def test_late_report_without_a_place_changes_nothing(
    database: Database, late: Made, said: dict[str, Any]
) -> None:
    before = await whole(database, late)
    [outcome] = await apply(database, report(late, **said))
    assert type(outcome) is LeaseLostError
    assert "concurrency_limit" in outcome.message
    assert outcome.job is not None
    assert outcome.job.state is JobState.RETRYING
    assert await whole(database, late) == before


@pytest.mark.parametrize(
    ("call", "state"),
    [(complete, JobState.COMPLETED), (fail, JobState.RETRYING)],
)
async def test_late_ending_counts_without_a_place(database: Database, late: Made, call: Any, state: JobState) -> None:
    [outcome] = await apply(database, call(late))
    assert isinstance(outcome, Ended)
    assert outcome.job.state is state


async def test_late_report_takes_the_place_that_is_free(database: Database, project_id: UUID) -> None:
    await limit(database, project_id, 1)
    jobs = [await put(database, project_id, JobState.RETRYING) for _ in range(3)]
    outcomes = await apply(database, *(report(job) for job in jobs))
    assert [type(outcome) for outcome in outcomes] == [Reported, LeaseLostError, LeaseLostError]


async def test_report_under_another_token_takes_no_place(database: Database, project_id: UUID) -> None:
    await limit(database, project_id, 1)
    stranger, late = [await put(database, project_id, JobState.RETRYING) for _ in range(2)]
    outcomes = await apply(database, report(stranger, token=uuid4()), report(late))
    assert [type(outcome) for outcome in outcomes] == [LeaseLostError, Reported]


@pytest.mark.parametrize("state", sorted(LEASED))
async def test_holder_reports_where_more_are_held_than_the_limit_allows(
    database: Database, project_id: UUID, state: JobState
) -> None:
    """Its lease may have ended: until it is taken away the job has its place."""
    held = [await put(database, project_id, state, lease_left_seconds=-10) for _ in range(2)]
    await limit(database, project_id, 1)
    outcomes = await apply(database, *(report(job) for job in held))
    assert [type(outcome) for outcome in outcomes] == [Reported] * 2


@pytest.mark.parametrize("leaves", [complete, fail, release])
async def test_late_report_has_the_place_that_the_call_before_it_left(
    database: Database, project_id: UUID, leaves: Any
) -> None:
    await limit(database, project_id, 1)
    held, late = await put(database, project_id), await put(database, project_id, JobState.RETRYING)
    refused, _, admitted = await apply_in_a_transaction(database, report(late), leaves(held), report(late))
    assert type(refused) is LeaseLostError
    assert type(admitted) is Reported


async def test_late_report_has_the_place_that_an_end_beside_it_left(database: Database, project_id: UUID) -> None:
    """The end is written at once, and the report in the transaction after it."""
    await limit(database, project_id, 1)
    held, late = await put(database, project_id), await put(database, project_id, JobState.RETRYING)
    outcomes = await apply(database, report(late), complete(held))
    assert [type(outcome) for outcome in outcomes] == [Reported, Ended]


async def test_each_projects_queue_has_its_own_places(database: Database, project_id: UUID) -> None:
    async with database.transaction() as connection:
        other = await factories.project(connection, "other")
    for project in (project_id, other):
        await limit(database, project, 1)
    await put(database, project_id)
    outcomes = await apply(
        database,
        report(await put(database, project_id, JobState.RETRYING)),
        report(await put(database, other, JobState.RETRYING)),
        report(await put(database, project_id, JobState.RETRYING, queue="unlimited")),
    )
    assert [type(outcome) for outcome in outcomes] == [LeaseLostError, Reported, Reported]


async def test_late_report_that_was_refused_leaves_its_key_free(database: Database, late: Made) -> None:
    call = replace(report(late), idempotency=KEY)
    assert [type(outcome) for outcome in await apply(database, call, call)] == [LeaseLostError] * 2
    await limit(database, late.project_id, 2)
    assert [type(outcome) for outcome in await apply(database, call, call)] == [Reported, Replayed]


async def test_creation_with_a_claim_takes_a_place_or_is_refused_alone(database: Database, project_id: UUID) -> None:
    await limit(database, project_id, 2, "q")
    waiting = CreateRequest(project_id, NewJob(id=new_id(), type="t", queue="q"))
    requests = [claimed(project_id, queue) for queue in ("q", "free", "q", "q", "new")]
    outcomes = await create(database, waiting, *requests)
    assert [type(outcome) for outcome in outcomes] == [Created] * 4 + [QueueFullError, Created]
    refused = outcomes[4]
    assert isinstance(refused, QueueFullError)
    assert "'q'" in refused.message
    assert "`concurrency_limit` of 2" in refused.message


async def test_creation_that_was_refused_leaves_its_key_free(database: Database, project_id: UUID) -> None:
    await limit(database, project_id, 1)
    held = await put(database, project_id)
    first, again = claimed(project_id, key=KEY), claimed(project_id, key=KEY)
    assert [type(outcome) for outcome in await create(database, first, again)] == [QueueFullError] * 2
    await apply(database, complete(held))
    assert [type(outcome) for outcome in await create(database, first)] == [Created]


async def test_another_request_under_the_key_of_a_refused_one_has_its_own_turn(
    database: Database, project_id: UUID
) -> None:
    await limit(database, project_id, 1)
    await put(database, project_id)
    other = claimed(project_id, "free", key=replace(KEY, fingerprint=b"two"))
    outcomes = await create(database, claimed(project_id, key=KEY), other)
    assert [type(outcome) for outcome in outcomes] == [QueueFullError, Created]


async def test_creation_that_comes_again_needs_no_second_place(database: Database, project_id: UUID) -> None:
    await limit(database, project_id, 1)
    [first] = await create(database, claimed(project_id, key=KEY))
    [again] = await create(database, claimed(project_id, key=KEY))
    assert isinstance(first, Created)
    assert isinstance(again, Created)
    assert again.replayed
    assert (again.job.id, again.lease and again.lease.token) == (first.job.id, first.lease and first.lease.token)
