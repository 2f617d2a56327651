"""As `test_written`, for everything that is no job: items, history, queues, keys, inputs, idempotency records."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.db import checkpoints, idempotency, inputs, item_copies, items, keys, logs, projects, queues, tables
from app.db.checkpoints import Checkpoint
from app.db.connection import Connection
from app.db.idempotency import CreationRecord, IdempotencyRecord
from app.db.item_copies import ItemCopy
from app.db.items import ItemRow, NewItemRow
from app.db.logs import NumberedLine
from app.domain.input import StoredInput
from app.domain.item import ItemStatus
from app.domain.job import JobRef, Retry
from app.domain.principal import Principal, Scope
from app.domain.queue import Pause, QueueRules
from tests.db import distinct
from tests.db.distinct import differences

PROJECT, JOB, OTHER, UPLOAD = (UUID(int=n) for n in range(900, 904))
LATER = datetime(2031, 5, 1, tzinfo=UTC)

ITEM: dict[str, Any] = {
    "project_id": PROJECT,
    "job_id": JOB,
    "key": "a key",
    "name": "a name",
    "uri": "a uri",
    "stage": "a stage",
    "message": "a message",
    "error_code": None,
    "error_message": None,
    "skip_reason": None,
    "size_bytes": 12,
    "result": {"re": "sult"},
}


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (ItemStatus.FAILED, {"error_code": "a code", "error_message": "an error"}),
        (ItemStatus.SKIPPED, {"skip_reason": "a reason"}),
    ],
)
async def test_item(connection: Connection, status: ItemStatus, reasons: dict[str, str], known: bool) -> None:
    place = {"project_id": PROJECT, "job_id": JOB, "position": 5}
    if known:
        await distinct.insert(connection, tables.items, **place, key="a key", status="queued")
    item = ITEM | reasons
    await items.apply_updates(connection, [ItemRow(**item, base=4, status=status)])
    row = await distinct.stored(connection, tables.items, job_id=JOB)
    assert not differences(row, item | place | {"status": status.value, "updated_at": row["updated_at"]})


async def test_new_item(connection: Connection) -> None:
    item = NewItemRow(project_id=PROJECT, job_id=JOB, position=2, key="k", name="n", uri="u", size_bytes=3)
    await items.insert_new(connection, [item])
    row = await distinct.stored(connection, tables.items, job_id=JOB)
    assert not differences(row, asdict(item) | {"status": "queued", "updated_at": row["updated_at"]})
    copy_of: dict[str, Any] = {"project_id": PROJECT, "job_id": OTHER, "original_job_id": JOB, "only_failed": False}
    await item_copies.copy_some(connection, ItemCopy(**copy_of, last_position=2), window=5, limit=5)
    copy = await distinct.stored(connection, tables.items, job_id=OTHER)
    assert not differences(copy, row | {"job_id": OTHER, "position": 1, "updated_at": copy["updated_at"]})


async def test_item_copy(connection: Connection) -> None:
    job = {"id": JOB, "state": "pending", "attempt": 0, "progress": 0, "completed_at": None, "copying": False}
    before = await distinct.insert(connection, tables.jobs, project_id=PROJECT, **job)
    place = {"position": 5, "last_position": 7, "copied": 3}
    values: dict[str, Any] = {
        "project_id": PROJECT,
        "job_id": JOB,
        "original_job_id": OTHER,
        "only_failed": True,
        "error_codes": frozenset({"a code"}),
        **place,
    }
    copy = ItemCopy(**values)
    await item_copies.begin(connection, copy, 4)
    row = await distinct.stored(connection, tables.item_copies, job_id=JOB)
    assert row == values | {"stepped_at": row["stepped_at"], "error_codes": ["a code"]}
    held_back = before | {"copying": True, "items_total": 4}
    assert await distinct.stored(connection, tables.jobs, id=JOB) == held_back
    assert await item_copies.select_next(connection) == item_copies.Next(copy, live=True)
    further = replace(copy, position=6, copied=4)
    await item_copies.advance(connection, further)
    row = await distinct.stored(connection, tables.item_copies, job_id=JOB)
    moved = {"position": 6, "copied": 4, "stepped_at": row["stepped_at"], "error_codes": ["a code"]}
    assert row == values | moved
    assert (await item_copies.release(connection, further)).queue == before["queue"]
    assert await distinct.stored(connection, tables.jobs, id=JOB) == held_back | {"copying": False}
    await item_copies.release(connection, replace(further, copied=5))
    changed = {"copying": False, "items_total": 5, "version": before["version"] + 1}
    assert await distinct.stored(connection, tables.jobs, id=JOB) == held_back | changed


async def test_log_line_and_checkpoint(connection: Connection) -> None:
    line = NumberedLine(PROJECT, JOB, 7, 2, "info", "a message")
    await logs.insert(connection, [line])
    row = await distinct.stored(connection, tables.job_logs, job_id=JOB)
    assert not differences(row, asdict(line) | {"at": row["at"]})
    checkpoint = Checkpoint(PROJECT, JOB, {"check": "point"})
    await checkpoints.upsert(connection, [Checkpoint(PROJECT, JOB, 1)])
    await checkpoints.upsert(connection, [checkpoint])
    assert await distinct.stored(connection, tables.checkpoints, job_id=JOB) == asdict(checkpoint)
    stored = await checkpoints.select(connection, JobRef(PROJECT, JOB))
    assert stored is not None
    assert json.loads(stored.text) == checkpoint.checkpoint


async def test_queue(connection: Connection) -> None:
    expected = {
        "project_id": PROJECT,
        "name": "a queue",
        "paused": True,
        "concurrency_limit": 5,
        "retry_delay_seconds": 1.5,
        "retry_factor": 2.5,
        "retry_max_delay_seconds": 3.5,
        "retention_seconds": 86400,
        "paused_at": distinct.PAST,
        "paused_by": "ops",
        "paused_reason": "why",
        "paused_until": distinct.FIRST_MOMENT,
        "retention_failed_seconds": 172800,
        "expected_seconds": 60,
    }
    await distinct.insert(connection, tables.queues, project_id=PROJECT, name="a queue", paused=False)
    pause = Pause(at=distinct.PAST, by="ops", reason="why", until=distinct.FIRST_MOMENT)
    rules = QueueRules(
        paused=True,
        pause=pause,
        concurrency_limit=5,
        retry=Retry(1.5, 2.5, 3.5),
        retention_seconds=86400,
        retention_failed_seconds=172800,
        expected_seconds=60,
    )
    await queues.put(connection, PROJECT, "a queue", rules)
    row = await distinct.stored(connection, tables.queues, project_id=PROJECT)
    assert not differences(row, expected | {name: row[name] for name in ("created_at", "updated_at")})
    assert row["created_at"] >= distinct.FIRST_MOMENT > row["updated_at"]
    await queues.put(connection, PROJECT, "a queue", QueueRules())
    reset = await distinct.stored(connection, tables.queues, project_id=PROJECT)
    kept = {name: row[name] for name in ("project_id", "name", "created_at")}
    assert not differences(reset, kept | {"paused": False, "updated_at": reset["updated_at"]})


async def test_key_of_a_project(connection: Connection) -> None:
    project = await projects.insert_project(connection, PROJECT, "a project")
    assert await distinct.stored(connection, tables.projects, id=PROJECT) == asdict(project)
    scopes, names = frozenset({Scope.READ, Scope.WORK}), frozenset({"q", "r"})
    principal = Principal(PROJECT, "an id", "a key", scopes, names)
    key = await keys.insert_key(connection, principal, b"a digest", expires_at=LATER)
    row = await distinct.stored(connection, tables.keys, project_id=PROJECT)
    expected = {
        "project_id": PROJECT,
        "id": "an id",
        "name": "a key",
        "digest": b"a digest",
        "scopes": ["read", "work"],
        "queues": ["q", "r"],
        "created_at": project.created_at,
        "expires_at": LATER,
    }
    assert not differences(row, expected | {"created_at": row["created_at"]})
    assert key == await keys.select_key(connection, PROJECT, "an id")
    changed = await keys.set_expiry(connection, PROJECT, "an id", None)
    assert changed
    assert changed.expires_at is None
    await keys.mark_used(connection, [(PROJECT, "an id")])
    used = await distinct.stored(connection, tables.keys, project_id=PROJECT)
    assert not differences(used, row | {"expires_at": None, "last_used_at": used["last_used_at"]})
    assert used["last_used_at"] is not None
    await keys.revoke(connection, PROJECT, "an id")
    revoked = await distinct.stored(connection, tables.keys, project_id=PROJECT)
    assert not differences(revoked, used | {"revoked_at": revoked["revoked_at"]})
    assert revoked["revoked_at"] is not None


@pytest.mark.parametrize("replaces", [False, True])
async def test_input(connection: Connection, replaces: bool) -> None:
    if replaces:
        await distinct.insert(connection, tables.inputs, project_id=PROJECT, job_id=JOB, dropped_at=None)
    stored = StoredInput(UPLOAD, "a/type", 12, b"a digest", sensitive=False)
    assert await inputs.attach(connection, [(JobRef(PROJECT, JOB), stored)]) is replaces
    row = await distinct.stored(connection, tables.inputs, job_id=JOB)
    expected = {"project_id": PROJECT, "job_id": JOB, "created_at": row["created_at"]}
    assert not differences(row, asdict(stored) | expected)


async def test_chunk_of_an_input(connection: Connection) -> None:
    await inputs.insert_chunk(connection, PROJECT, UPLOAD, 3, b"bytes")
    row = await distinct.stored(connection, tables.input_chunks, upload_id=UPLOAD)
    expected = {"project_id": PROJECT, "upload_id": UPLOAD, "n": 3, "data": b"bytes"}
    assert not differences(row, expected | {"created_at": row["created_at"]})


async def test_idempotency_record(connection: Connection) -> None:
    creation = CreationRecord(project_id=PROJECT, route="a route", key="a key", fingerprint=b"a digest", job_id=JOB)
    assert await idempotency.reserve(connection, [creation]) == {JOB}
    row = await distinct.stored(connection, tables.idempotency_records, key="a key")
    assert not differences(row, asdict(creation) | {"status": 201, "created_at": row["created_at"]})
    other = IdempotencyRecord(
        project_id=PROJECT, route="a route", key="another", fingerprint=b"a digest", body={"bo": "dy"}
    )
    assert await idempotency.insert(connection, [other]) == 1
    row = await distinct.stored(connection, tables.idempotency_records, key="another")
    assert not differences(row, asdict(other) | {"status": 200, "created_at": row["created_at"]})
