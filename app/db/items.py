"""Items: written by reports under the job's lock. How they are read is in `item_pages`, copied in `item_copies`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.db.connection import Connection
from app.db.lookups import lookup, target_by_key
from app.db.parameters import Batch
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.item import NO_ERROR_CODE, ItemStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """An update of one item. Each key comes once for a job; `base` is how many items the job has had so far."""

    project_id: UUID
    job_id: UUID
    base: int
    key: str
    status: ItemStatus | None
    name: str | None
    uri: str | None
    stage: str | None
    message: str | None
    error_code: str | None
    error_message: str | None
    skip_reason: str | None
    size_bytes: int | None
    result: Any


@dataclass(frozen=True, slots=True)
class CountChange:
    """The change of a job's counts by a batch."""

    job_id: UUID
    added: int = 0
    processed: int = 0
    failed: int = 0
    skipped: int = 0


def _gained(status: ItemStatus) -> str:
    """Write by how much the number of items of a status grows."""
    return f"count(*) FILTER (WHERE m.becomes = '{status}') - count(*) FILTER (WHERE m.was = '{status}')"


# A failed item has a code in any case: by their codes those that failed are found.
_NO_CODE: Final = f"CASE WHEN i.status = '{ItemStatus.FAILED}' THEN '{NO_ERROR_CODE}' END"

# Update and insert apart: half the rows of an indexing job are new, the other half old, and `ON CONFLICT` reached
# 15,000 rows a second where these two reach over 95,000. The job's lock keeps everybody else out between the two.
# NOT IN, which is a look-up in memory: a join may compare each of a thousand new items with each of a thousand old.
APPLY = Statement(
    f"""
    WITH input AS (
        SELECT i.* FROM :rows
    ), known AS (
        SELECT i.*, t.position, t.status AS was
        FROM input i CROSS JOIN {lookup("items", "t", project_id="i.project_id", job_id="i.job_id", key="i.key")}
    ), fresh AS (
        SELECT i.* FROM input i WHERE i.n NOT IN (SELECT k.n FROM known k)
    ), changed AS (
        UPDATE items t SET
            status = coalesce(i.status, t.status), name = coalesce(i.name, t.name), uri = coalesce(i.uri, t.uri),
            stage = coalesce(i.stage, t.stage), message = coalesce(i.message, t.message),
            error_code = CASE WHEN i.status IS NULL OR i.status = 'failed'
                              THEN coalesce(i.error_code, t.error_code, {_NO_CODE}) END,
            error_message = CASE WHEN i.status IS NULL OR i.status = 'failed'
                                 THEN coalesce(i.error_message, t.error_message) END,
            skip_reason = CASE WHEN i.status IS NULL OR i.status = 'skipped'
                               THEN coalesce(i.skip_reason, t.skip_reason) END,
            size_bytes = coalesce(i.size_bytes, t.size_bytes),
            result = coalesce(CAST(i.result AS json), t.result), updated_at = statement_timestamp()
        FROM known i
        WHERE {target_by_key("t", project_id="i.project_id", job_id="i.job_id", key="i.key")}
    ), added AS (
        INSERT INTO items (project_id, job_id, position, key, status, name, uri, stage, message, error_code,
                           error_message, skip_reason, size_bytes, result, updated_at)
        SELECT i.project_id, i.job_id,
               i.base + row_number() OVER (PARTITION BY i.project_id, i.job_id ORDER BY i.n), i.key,
               coalesce(i.status, 'queued'), i.name, i.uri, i.stage, i.message, coalesce(i.error_code, {_NO_CODE}),
               i.error_message, i.skip_reason, i.size_bytes, CAST(i.result AS json), statement_timestamp()
        FROM fresh i
    ), moved AS (
        SELECT k.job_id, false AS new, k.was, coalesce(k.status, k.was) AS becomes FROM known k
        UNION ALL
        SELECT i.job_id, true, NULL, coalesce(i.status, 'queued') FROM fresh i
    )
    SELECT :returned FROM moved m GROUP BY m.job_id
    """,
    Batch(ItemRow, numbered=True),
    Projection(
        CountChange,
        columns={
            "job_id": "m.job_id",
            "added": "count(*) FILTER (WHERE m.new)",
            "processed": _gained(ItemStatus.COMPLETED),
            "failed": _gained(ItemStatus.FAILED),
            "skipped": _gained(ItemStatus.SKIPPED),
        },
    ),
)


async def apply_updates(connection: Connection, rows: Sequence[ItemRow]) -> dict[UUID, CountChange]:
    """Write item updates of admitted reports; returns by job how its counts change in the same transaction."""
    return {change.job_id: change for change in await connection.fetch(APPLY, rows)}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItemRow:
    """An item that a job is created with, at its place."""

    project_id: UUID
    job_id: UUID
    position: int
    key: str
    name: str | None
    uri: str | None
    size_bytes: int | None


INSERT_NEW = Statement(
    """
    INSERT INTO items (project_id, job_id, position, key, name, uri, size_bytes, status, updated_at)
    SELECT i.project_id, i.job_id, i.position, i.key, i.name, i.uri, i.size_bytes, 'queued', statement_timestamp()
    FROM :rows
    """,
    Batch(NewItemRow),
)


async def insert_new(connection: Connection, rows: Sequence[NewItemRow]) -> None:
    """Insert the items that jobs are created with."""
    await connection.execute(INSERT_NEW, rows)
