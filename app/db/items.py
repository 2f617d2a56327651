"""Items: written by reports under the job's lock, read by position."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from app.db.connection import Connection, Statement
from app.db.lookups import lookup, target_by_key
from app.db.tables import literals
from app.domain.item import UNFINISHED_ITEM, CountedItems, Item, ItemStatus, ItemUpdate, NewItem
from app.domain.states import TERMINAL

MOST_BY_OFFSET = 100_000
"""How many items a list by offset looks at for a status. Skipping rows costs reading them."""


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """Updates of one job's items, each key once, and how many items the job has had so far."""

    project_id: UUID
    job_id: UUID
    items_count: int
    updates: Sequence[ItemUpdate]


@dataclass(frozen=True, slots=True)
class CountChange:
    """What a batch did to its job's counts."""

    added: int
    processed: int
    failed: int
    skipped: int


# Update and insert apart: half the rows of an indexing job are new, the other half old, and `ON CONFLICT` reached
# 15,000 rows a second where these two reach over 95,000. The job's lock keeps everybody else out between the two.
# NOT IN, which is a look-up in memory: a join may compare each of a thousand new items with each of a thousand old.
APPLY = Statement(f"""
    WITH input AS (
        SELECT i.* FROM unnest(
            CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:bases AS bigint[]), CAST(:keys AS text[]),
            CAST(:statuses AS text[]), CAST(:names AS text[]), CAST(:uris AS text[]), CAST(:stages AS text[]),
            CAST(:messages AS text[]), CAST(:error_codes AS text[]), CAST(:error_messages AS text[]),
            CAST(:skip_reasons AS text[]), CAST(:sizes AS bigint[]), CAST(:results AS text[])) WITH ORDINALITY
            AS i (project_id, job_id, base, key, status, name, uri, stage, message, error_code, error_message,
                  skip_reason, size_bytes, result, n)
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
                              THEN coalesce(i.error_code, t.error_code) END,
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
               coalesce(i.status, 'queued'), i.name, i.uri, i.stage, i.message, i.error_code, i.error_message,
               i.skip_reason, i.size_bytes, CAST(i.result AS json), statement_timestamp()
        FROM fresh i
    ), moved AS (
        SELECT k.job_id, false AS new, k.was, coalesce(k.status, k.was) AS becomes FROM known k
        UNION ALL
        SELECT i.job_id, true, NULL, coalesce(i.status, 'queued') FROM fresh i
    )
    SELECT job_id, count(*) FILTER (WHERE new) AS added,
           count(*) FILTER (WHERE becomes = 'completed') - count(*) FILTER (WHERE was = 'completed') AS processed,
           count(*) FILTER (WHERE becomes = 'failed') - count(*) FILTER (WHERE was = 'failed') AS failed,
           count(*) FILTER (WHERE becomes = 'skipped') - count(*) FILTER (WHERE was = 'skipped') AS skipped
    FROM moved GROUP BY job_id
""")


async def apply_updates(connection: Connection, batches: Sequence[ItemBatch]) -> dict[UUID, CountChange]:
    """Write item updates of admitted reports; gives by job how its counts change in the same transaction."""
    rows = [(batch, update) for batch in batches for update in batch.updates]
    found = await connection.fetch(
        APPLY,
        {
            "project_ids": [batch.project_id for batch, _ in rows],
            "job_ids": [batch.job_id for batch, _ in rows],
            "bases": [batch.items_count for batch, _ in rows],
            "keys": [update.key for _, update in rows],
            "statuses": [update.status for _, update in rows],
            "names": [update.name for _, update in rows],
            "uris": [update.uri for _, update in rows],
            "stages": [update.stage for _, update in rows],
            "messages": [update.message for _, update in rows],
            "error_codes": [update.error_code for _, update in rows],
            "error_messages": [update.error_message for _, update in rows],
            "skip_reasons": [update.skip_reason for _, update in rows],
            "sizes": [update.size_bytes for _, update in rows],
            "results": [None if update.result is None else json.dumps(update.result) for _, update in rows],
        },
    )
    return {row.job_id: CountChange(row.added, row.processed, row.failed, row.skipped) for row in found}


INSERT_NEW = Statement("""
    INSERT INTO items (project_id, job_id, position, key, name, uri, size_bytes, status, updated_at)
    SELECT i.project_id, i.job_id, i.position, i.key, i.name, i.uri, i.size_bytes, 'queued', statement_timestamp()
    FROM unnest(CAST(:project_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:positions AS bigint[]),
                CAST(:keys AS text[]), CAST(:names AS text[]), CAST(:uris AS text[]), CAST(:sizes AS bigint[]))
         AS i (project_id, job_id, position, key, name, uri, size_bytes)
""")

PlacedItem: TypeAlias = tuple[UUID, UUID, int, NewItem]
"""Project, job, position and the item."""


async def insert_new(connection: Connection, placed: Sequence[PlacedItem]) -> None:
    """Insert the items that jobs are created with."""
    await connection.execute(
        INSERT_NEW,
        {
            "project_ids": [row[0] for row in placed],
            "job_ids": [row[1] for row in placed],
            "positions": [row[2] for row in placed],
            "keys": [row[3].key for row in placed],
            "names": [row[3].name for row in placed],
            "uris": [row[3].uri for row in placed],
            "sizes": [row[3].size_bytes for row in placed],
        },
    )


# Of an ended job an unfinished item reads as cancelled: nobody will work on it, and a million rows need not be
# rewritten.
SHOWN_STATUS = f"""
    CASE WHEN j.state IN ({literals(TERMINAL)}) AND t.status IN ({literals(UNFINISHED_ITEM)})
         THEN 'cancelled' ELSE t.status END
"""

COPY = Statement(f"""
    INSERT INTO items (project_id, job_id, position, key, name, uri, size_bytes, status, updated_at)
    SELECT t.project_id, :new_job_id, row_number() OVER (ORDER BY t.position), t.key, t.name, t.uri, t.size_bytes,
           'queued', statement_timestamp()
    FROM items t
    WHERE t.project_id = :project_id AND t.job_id = :job_id
      AND (NOT CAST(:only_failed AS boolean) OR t.status = '{ItemStatus.FAILED}')
""")


async def copy_to(
    connection: Connection, project_id: UUID, job_id: UUID, new_job_id: UUID, *, only_failed: bool
) -> int:
    """Give a rerun the items of its original, all queued; says how many there were."""
    return await connection.execute(
        COPY, {"project_id": project_id, "job_id": job_id, "new_job_id": new_job_id, "only_failed": only_failed}
    )


_SHOWN = f"""
    t.position, t.key, t.name, t.uri, {SHOWN_STATUS} AS status, t.stage, t.message, t.error_code, t.error_message,
    t.skip_reason, t.size_bytes, t.result, t.updated_at
"""


def _window(after: str) -> str:
    return f"""
        jobs j CROSS JOIN LATERAL (
            SELECT * FROM items t WHERE t.project_id = j.project_id AND t.job_id = j.id AND t.position > {after}
            ORDER BY t.position LIMIT :window
        ) t WHERE j.project_id = :project_id AND j.id = :job_id
    """


# The window is bounded before the status is looked at, so that a sparse filter gives a short page and never a long
# scan.
PAGE = Statement(f"SELECT {_SHOWN} FROM {_window(':after')} ORDER BY t.position")


def _item(row: Any) -> Item:
    return Item(
        key=row.key,
        position=row.position,
        name=row.name,
        uri=row.uri,
        status=ItemStatus(row.status),
        stage=row.stage,
        message=row.message,
        error_code=row.error_code,
        error_message=row.error_message,
        skip_reason=row.skip_reason,
        size_bytes=row.size_bytes,
        result=row.result,
        updated_at=row.updated_at,
    )


async def select_window(
    connection: Connection, project_id: UUID, job_id: UUID, *, after: int, window: int
) -> list[Item]:
    """Read up to `window` items behind a position, in their order."""
    rows = await connection.fetch(PAGE, {"project_id": project_id, "job_id": job_id, "after": after, "window": window})
    return [_item(row) for row in rows]


# One row at least, for the total where no item is shown. A status is looked for among the first `window` items: what a
# count beyond that would cost, nobody who pages by offset expects.
OFFSET_PAGE = Statement(f"""
    WITH w AS MATERIALIZED (
        SELECT t.position, t.key, {SHOWN_STATUS} AS status FROM {_window("0")}
    ), fits AS MATERIALIZED (SELECT w.position, w.key FROM w WHERE w.status = :status),
    shown AS (SELECT f.key FROM fits f ORDER BY f.position LIMIT :limit OFFSET :offset)
    SELECT e.total, m.* FROM (SELECT count(*) AS total FROM fits) e LEFT JOIN LATERAL (
        SELECT {_SHOWN} FROM jobs j CROSS JOIN shown s
        CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key="s.key")}
        WHERE j.project_id = :project_id AND j.id = :job_id
    ) m ON true
    ORDER BY m.position
""")
# Positions count from one without a gap, so that the highest is how many there are.
COUNT = Statement("""
    SELECT coalesce((SELECT t.position FROM items t
                     WHERE t.project_id = :project_id AND t.job_id = :job_id AND t.position > 0
                     ORDER BY t.position DESC LIMIT 1), 0)
""")


async def select_by_offset(
    connection: Connection, project_id: UUID, job_id: UUID, status: ItemStatus, *, offset: int, limit: int
) -> CountedItems:
    """Read the items of one status behind the first `offset`, and how many have it, among the first 100,000."""
    asked = {
        "project_id": project_id,
        "job_id": job_id,
        "status": status,
        "offset": offset,
        "limit": limit,
        "window": MOST_BY_OFFSET,
    }
    rows = await connection.fetch(OFFSET_PAGE, asked)
    return CountedItems(tuple(_item(row) for row in rows if row.position is not None), rows[0].total)


async def count(connection: Connection, project_id: UUID, job_id: UUID) -> int:
    """Say how many items a job has."""
    return int(await connection.fetchval(COUNT, {"project_id": project_id, "job_id": job_id}))


BY_KEY = Statement(f"""
    SELECT j.id AS job_id, {_SHOWN} FROM unnest(CAST(:job_ids AS uuid[])) AS a (id)
    CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="a.id")}
    CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key=":key")}
    ORDER BY j.id DESC
""")


async def select_by_key(
    connection: Connection, project_id: UUID, job_ids: Sequence[UUID], key: str
) -> dict[UUID, Item]:
    """Read the item that these jobs have under a key, by job, newest job first; jobs without it are left out."""
    rows = await connection.fetch(BY_KEY, {"project_id": project_id, "job_ids": list(job_ids), "key": key})
    return {row.job_id: _item(row) for row in rows}
