"""Reports of workers: the lease, the items, and what a bare heartbeat leaves alone."""

from uuid import UUID

import pytest

from app.db.engine import Database
from app.domain.item import ItemStatus, ItemUpdate
from app.domain.states import JobState
from tests import factories, sql
from tests.core.worker_calls import FULL_REPORT, apply, complete, counts, put, report, whole


async def test_bare_heartbeat_extends_the_lease_and_shows_no_change(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, lease_left_seconds=5)
    row, run, *rest = await whole(database, made)

    (outcome,) = await apply(database, report(made))

    assert outcome.lease.expires_in_seconds == pytest.approx(30, abs=1)
    row_now, run_now, *rest_now = await whole(database, made)
    assert row_now == row
    assert rest_now == rest
    changed = {name for name in run._fields if getattr(run, name) != getattr(run_now, name)}
    assert changed == {"lease_ends_at"}


async def test_late_report_under_an_unsuperseded_token_takes_the_job_back(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id, JobState.RETRYING)

    (outcome,) = await apply(database, report(made))

    assert (outcome.state, outcome.cancel_requested) == (JobState.RUNNING, False)
    assert outcome.lease.expires_in_seconds == pytest.approx(30, abs=1)
    async with database.transaction() as connection:
        assert (await factories.row(connection, made)).attempt == 1


async def test_a_report_to_a_cancelled_job_is_told_and_does_not_prolong_it(
    database: Database, project_id: UUID
) -> None:
    made = await put(database, project_id, JobState.CANCELLING, lease_left_seconds=9)

    first, kept = await apply(database, report(made, lease_seconds=3_000, **FULL_REPORT), complete(made, result="kept"))

    assert first.cancel_requested
    assert first.lease.expires_in_seconds < 10
    assert (kept.job.state, kept.job.counts.processed) == (JobState.CANCELLED, 1)
    async with database.transaction() as connection:
        stored = await sql.fetch_value(connection, "SELECT result FROM results WHERE job_id = :id", id=made.id)
        assert stored == "kept"


async def test_an_item_named_twice_in_a_report_is_one_item(database: Database, project_id: UUID) -> None:
    made = await put(database, project_id)
    await apply(
        database,
        report(
            made,
            items=(
                ItemUpdate(key="a", name="first", status=ItemStatus.FAILED, error_code="x"),
                ItemUpdate(key="a", status=ItemStatus.COMPLETED),
                ItemUpdate(key="b"),
            ),
        ),
    )
    async with database.transaction() as connection:
        said, stored = await counts(connection, made)
        rows = await sql.fetch(
            connection,
            "SELECT key, position, name, status, error_code FROM items WHERE job_id = :id ORDER BY position",
            id=made.id,
        )
        assert [tuple(vars(row).values()) for row in rows] == [
            ("a", 1, "first", "completed", None),
            ("b", 2, None, "queued", None),
        ]
    assert said == stored == (2, 1, 0, 0)
