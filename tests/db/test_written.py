"""What the service's statements write, every value in the column of its name, read by the columns' names."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.db import create, jobs, reports, tables, transitions
from app.db.connection import Connection
from app.db.reports import Heartbeat, Recorded, RunUpdate, array_text
from app.db.transitions import Move
from app.domain.item import Counts
from app.domain.job import Claim, CreateRequest, Eta, JobRef, NewJob, Retry
from app.domain.states import JobEvent, JobState
from tests.db import distinct
from tests.db.distinct import differences

Record = Callable[[Connection, Sequence[RunUpdate]], Awaitable[list[Recorded]]]
PROJECT, JOB, OTHER, TOKEN = (UUID(int=n) for n in range(900, 904))
LATER = datetime(2031, 5, 1, tzinfo=UTC)


async def job_row(connection: Connection, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"project_id": PROJECT, "id": JOB, "state": "running", "attempt": 3, "max_attempts": 5}
    values |= {"progress": 31.5, "completed_at": None, "token": TOKEN, "final_call": None}
    return await distinct.insert(connection, tables.jobs, **(values | given))


async def run_row(connection: Connection, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"project_id": PROJECT, "job_id": JOB, "progress": 62.5, "samples": [1.5, 2.5]}
    return await distinct.insert(connection, tables.runs, **(values | given))


def new_job(claim: Claim | None) -> NewJob:
    return NewJob(
        id=JOB,
        type="a type",
        queue="a queue",
        engine="an engine",
        collection="a collection",
        payload={"pay": "load"},
        priority=4,
        scheduled_at=LATER,
        expires_at=LATER + timedelta(days=1),
        max_attempts=6,
        retry=Retry(1.5, 2.5, 3.5),
        expected_seconds=77,
        labels={"team": "blue"},
        claim=claim,
    )


@pytest.mark.parametrize("claim", [None, Claim("a worker", 45)])
async def test_new_job(connection: Connection, claim: Claim | None) -> None:
    job = new_job(claim)
    # A field that is new to this test is added to it, with a value of its own.
    left_out = {field.name for field in fields(job) if getattr(job, field.name) == field.default}
    assert left_out <= {"lifetime", "items", "input", "claim"}
    request = CreateRequest(PROJECT, job, original_job_id=OTHER, token=TOKEN if claim else None)
    created = (await create.insert(connection, [request]))[0][JOB]
    now = created.created_at
    expected = {
        "project_id": PROJECT,
        "id": JOB,
        "type": "a type",
        "queue": "a queue",
        "engine": "an engine",
        "collection": "a collection",
        "state": "dispatched" if claim else "pending",
        "priority": 4,
        "attempt": 1 if claim else 0,
        "max_attempts": 6,
        "retry_delay_seconds": 1.5,
        "retry_factor": 2.5,
        "retry_max_delay_seconds": 3.5,
        "expected_seconds": 77,
        "expected_end_at": now + timedelta(seconds=77) if claim else None,
        "overdue": False,
        "original_job_id": OTHER,
        "labels": {"team": "blue"},
        "worker": "a worker" if claim else None,
        "token": TOKEN if claim else None,
        "version": 1,
        "copying": False,
        "scheduled_at": LATER,
        "expires_at": LATER + timedelta(days=1),
        "started_at": now if claim else None,
        **dict.fromkeys(("progress", "items_total", "items_processed", "items_failed", "items_skipped"), 0),
        **dict.fromkeys(("created_at", "updated_at", "status_changed_at"), now),
    }
    assert not differences(await distinct.stored(connection, tables.jobs, id=JOB), expected)
    assert created.documents
    assert created.documents.payload == {"pay": "load"}
    (read,) = (await jobs.select_with_documents(connection, [JobRef(PROJECT, JOB)])).values()
    assert created == read
    of_job = {"project_id": PROJECT, "job_id": JOB}
    payload = await distinct.stored(connection, tables.payloads, job_id=JOB)
    assert payload == of_job | {"payload": {"pay": "load"}}
    label = await distinct.stored(connection, tables.job_labels, job_id=JOB)
    assert label == of_job | {"name": "team", "value": "blue"}
    queue = await distinct.stored(connection, tables.queues, project_id=PROJECT)
    assert (queue["name"], queue["paused"], queue["created_at"]) == ("a queue", False, now)
    if claim:
        run = await distinct.stored(connection, tables.runs, job_id=JOB)
        assert (run["lease_seconds"], run["lease_ends_at"]) == (45, now + timedelta(seconds=45))


@pytest.mark.parametrize("record", [reports.record, reports.record_at_once])
async def test_report(connection: Connection, record: Record) -> None:
    job = await job_row(connection)
    before = await run_row(connection)
    update = RunUpdate(
        project_id=PROJECT,
        job_id=JOB,
        token=TOKEN,
        seen_version=before["version"],
        lease_seconds=11,
        stage="a stage",
        progress=12.5,
        message="a message",
        declared_total=13,
        items_count=14,
        counts=Counts(15, 16, 17, 18),
        eta=Eta(19.5, 20.5, 21.5),
        samples=array_text([(22.5, 23.5), (24.5, 25.5)]),
        log_lines=26,
        progressed=True,
    )
    (recorded,) = await record(connection, [update])
    assert recorded == Recorded(JOB, JobState.RUNNING, JobState.RUNNING, 11)
    event = await distinct.stored(connection, tables.events, job_id=JOB)
    assert (event["type"], event["attempt"], event["worker"]) == ("job.progressed", job["attempt"], job["worker"])
    assert (event["from_state"], event["to_state"]) == ("running", "running")
    assert event["data"] == {"stage": "a stage", "progress": 12.5}
    run = await distinct.stored(connection, tables.runs, job_id=JOB)
    assert not differences(
        run,
        {
            "project_id": PROJECT,
            "job_id": JOB,
            "lease_seconds": 11,
            "lease_ends_at": run["updated_at"] + timedelta(seconds=11),
            "version": before["version"] + 1,
            "stage": "a stage",
            "progress": 12.5,
            "message": "a message",
            "declared_total": 13,
            "items_count": 14,
            "items_processed": 16,
            "items_failed": 17,
            "items_skipped": 18,
            "eta_seconds": 19.5,
            "eta_low_seconds": 20.5,
            "eta_high_seconds": 21.5,
            "samples": [22.5, 23.5, 24.5, 25.5],
            "log_lines": 26,
            "updated_at": run["updated_at"],
        },
    )


@pytest.mark.parametrize("extend", [reports.extend, reports.extend_at_once])
async def test_heartbeat_writes_the_lease_alone(
    connection: Connection, extend: Callable[[Connection, Sequence[Heartbeat]], Awaitable[list[Recorded]]]
) -> None:
    await job_row(connection)
    before = await run_row(connection)
    heartbeat = Heartbeat(project_id=PROJECT, job_id=JOB, token=TOKEN, lease_seconds=11)
    (recorded,) = await extend(connection, [heartbeat])
    assert recorded == Recorded(JOB, JobState.RUNNING, JobState.RUNNING, 11)
    run = await distinct.stored(connection, tables.runs, job_id=JOB)
    assert run == before | {"lease_seconds": 11, "lease_ends_at": run["lease_ends_at"]}
    assert run["lease_ends_at"] != before["lease_ends_at"]


def unmoved(row: dict[str, Any]) -> dict[str, Any]:
    """What a move leaves as it is."""
    changed = ("state", "version", "status_changed_at", "updated_at")
    return {name: value for name, value in row.items() if name not in changed}


MOVES = (transitions.move, transitions.move_at_once)


async def move(
    connection: Connection, event: JobEvent, way: Any = transitions.move, **said: Any
) -> tuple[dict[str, Any], datetime]:
    (moved,) = await way(connection, event, [Move(project_id=PROJECT, job_id=JOB, token=TOKEN, **said)])
    row = await distinct.stored(connection, tables.jobs, id=JOB)
    assert (row["state"], row["updated_at"], row["status_changed_at"]) == (moved.target, moved.now, moved.now)
    return row, moved.now


@pytest.mark.parametrize("way", MOVES)
async def test_completed_job(connection: Connection, way: Any) -> None:
    before = await job_row(connection)
    run = await run_row(connection, items_failed=0)
    row, now = await move(
        connection, JobEvent.COMPLETE, way, final_call=b"a call", result={"re": "sult"}, billing={"bill": "ing"}
    )
    assert unmoved(row) == unmoved(before) | {
        "final_call": b"a call",
        "stage": run["stage"],
        "progress": 100,
        "message": run["message"],
        "items_total": max(run["items_count"], run["declared_total"]),
        "items_processed": run["items_processed"],
        "items_failed": 0,
        "items_skipped": run["items_skipped"],
        "error_code": None,
        "error_message": None,
        "completed_at": now,
    }
    stored = await distinct.stored(connection, tables.results, job_id=JOB)
    assert stored == {"project_id": PROJECT, "job_id": JOB, "result": {"re": "sult"}, "billing": {"bill": "ing"}}


@pytest.mark.parametrize("way", MOVES)
async def test_failed_attempt(connection: Connection, way: Any) -> None:
    before = await job_row(connection)
    await run_row(connection)
    row, now = await move(
        connection, JobEvent.FAIL, way, retry_after_seconds=90.0, error_code="a code", error_message="an error"
    )
    spent = {"token": None, "worker": None, "scheduled_at": now + timedelta(seconds=90)}
    assert unmoved(row) == unmoved(before) | spent | {"error_code": "a code", "error_message": "an error"}
    assert row["state"] == "retrying"


@pytest.mark.parametrize("way", MOVES)
async def test_failed_job_keeps_what_its_run_said_last(connection: Connection, way: Any) -> None:
    before = await job_row(connection)
    run = await run_row(connection, declared_total=3)
    error = {"error_code": "a code", "error_message": "an error"}
    row, now = await move(connection, JobEvent.FAIL, way, retryable=False, final_call=b"a call", **error)
    assert unmoved(row) == unmoved(before) | {
        "final_call": b"a call",
        "stage": run["stage"],
        "progress": run["progress"],
        "message": run["message"],
        "items_total": run["items_count"],
        "items_processed": run["items_processed"],
        "items_failed": run["items_failed"],
        "items_skipped": run["items_skipped"],
        "error_code": "a code",
        "error_message": "an error",
        "completed_at": now,
    }


async def test_cancelled_job(connection: Connection) -> None:
    before = await job_row(connection)
    await run_row(connection)
    row, now = await move(connection, JobEvent.CANCEL, cancelled_by="a key", reason="a reason")
    assert row["state"] == "cancelling"
    assert unmoved(row) == unmoved(before) | {"cancelled_at": now, "cancelled_by": "a key"}
    event = await distinct.stored(connection, tables.events, job_id=JOB)
    assert not differences(
        event,
        {
            "project_id": PROJECT,
            "job_id": JOB,
            "id": event["id"],
            "xid": event["xid"],
            "type": "job.cancelling",
            "at": now,
            "attempt": before["attempt"],
            "worker": before["worker"],
            "from_state": "running",
            "to_state": "cancelling",
            "data": {"reason": "a reason"},
        },
    )
