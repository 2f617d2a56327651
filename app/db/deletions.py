"""Deleting jobs: the row that all readers join on goes at once, everything else in steps.

A job may have a million items. Its deletion takes one short transaction all the same: without its row in `jobs` no
reader finds any of it, and `deletions` remembers what is left to remove.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.db.connection import Connection, Statement
from app.db.inputs import ENDED_SENSITIVE
from app.db.jobs import KEYS
from app.db.lookups import state_among, target_by_key
from app.db.repairs import BEGUN
from app.domain.job import JobKey
from app.domain.states import TERMINAL

DELETE = Statement(f"""
    WITH gone AS (
        DELETE FROM jobs j USING {KEYS}
        WHERE {target_by_key("j", project_id="i.project_id", id="i.job_id")} AND {state_among(TERMINAL)}
        RETURNING j.project_id, j.id
    ), unlabelled AS (
        DELETE FROM job_labels l USING gone g WHERE {target_by_key("l", project_id="g.project_id", job_id="g.id")}
    ), without_input AS (
        DELETE FROM inputs n USING gone g WHERE {target_by_key("n", project_id="g.project_id", job_id="g.id")}
    )
    INSERT INTO deletions (project_id, job_id, deleted_at)
    SELECT g.project_id, g.id, statement_timestamp() FROM gone g
    RETURNING project_id, job_id
""")


async def delete(connection: Connection, keys: Sequence[JobKey]) -> list[JobKey]:
    """Delete those of these jobs that have ended; gives them. The caller has locked them in order."""
    rows = await connection.fetch(DELETE, {"project_ids": [p for p, _ in keys], "job_ids": [j for _, j in keys]})
    return [(row.project_id, row.job_id) for row in rows]


# Nobody waits for a row that another process is pruning: each takes what is free.
NEXT = Statement("""
    SELECT d.project_id, d.job_id FROM deletions d ORDER BY d.project_id, d.job_id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
OF_MANY_ROWS = {"items": ("key",), "events": ("id", "xid"), "job_logs": ("line",)}
"""Tables with many rows a job, and what tells those apart; of `events` all that the feed's index holds too, which else
may be taken for the key's and walked.
"""
OF_ONE_ROW = ("payloads", "results", "checkpoints", "runs")


async def prune(connection: Connection, *, jobs: int, rows: int) -> int:
    """Remove up to `rows` rows of each kind of up to `jobs` deleted jobs; gives how many deletions were looked at."""
    found = await connection.fetch(NEXT, {"limit": jobs})
    if not found:
        return 0
    keys = {"project_ids": [row.project_id for row in found], "job_ids": [row.job_id for row in found]}
    left = False
    for table in OF_MANY_ROWS:
        removed = await connection.execute(_PRUNE_MANY[table], {**keys, "rows": rows})
        left = left or removed >= rows
    if not left:
        for table in OF_ONE_ROW:
            await connection.execute(_PRUNE_ONE[table], keys)
        await connection.execute(_PRUNE_ONE["deletions"], keys)
    return len(found)


_OF_JOB = target_by_key("t", project_id="i.project_id", job_id="i.job_id")
_PRUNE_ONE = {
    table: Statement(f"DELETE FROM {table} t USING {KEYS} WHERE {_OF_JOB}") for table in (*OF_ONE_ROW, "deletions")
}


def _prune_many(table: str, columns: Sequence[str]) -> Statement:
    named = ("project_id", "job_id", *columns)
    return Statement(f"""
        DELETE FROM {table} t USING (
            SELECT m.* FROM {KEYS} CROSS JOIN LATERAL (
                SELECT {", ".join(named)} FROM {table} m WHERE m.project_id = i.project_id AND m.job_id = i.job_id
                ORDER BY m.{columns[0]}
            ) m LIMIT :rows
        ) d WHERE {target_by_key("t", **{column: f"d.{column}" for column in named})}
    """)


_PRUNE_MANY = {table: _prune_many(table, columns) for table, columns in OF_MANY_ROWS.items()}

_AGED = """
    SELECT c.project_id, c.id FROM queues q CROSS JOIN LATERAL (
        SELECT j.project_id, j.id FROM jobs j
        WHERE j.project_id = q.project_id AND j.queue = q.name AND j.completed_at IS NOT NULL
          AND j.completed_at < statement_timestamp() - q.retention_seconds * interval '1 second'
        ORDER BY j.completed_at LIMIT :limit
    ) c
    WHERE q.retention_seconds IS NOT NULL
    LIMIT :limit
"""
AGED = Statement(_AGED)


async def select_aged(connection: Connection, limit: int) -> list[JobKey]:
    """Find ended jobs that are older than their queue keeps them."""
    return [(row.project_id, row.id) for row in await connection.fetch(AGED, {"limit": limit})]


OLD_RECORD = "o.created_at < statement_timestamp() - CAST(:age AS interval)"
OLD_RECORDS = Statement(f"""
    DELETE FROM idempotency_records d USING (
        SELECT o.project_id, o.route, o.key FROM idempotency_records o
        WHERE {OLD_RECORD} LIMIT :limit FOR UPDATE SKIP LOCKED
    ) o WHERE {target_by_key("d", project_id="o.project_id", route="o.route", key="o.key")}
""")


async def prune_idempotency(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Forget old Idempotency-Keys; gives how many."""
    return await connection.execute(OLD_RECORDS, {"age": age, "limit": limit})


# One statement for all kinds: it is asked every few seconds by every process, and nearly always there is nothing.
ANYTHING = Statement(f"""
    SELECT EXISTS (SELECT FROM deletions) AS deleted, EXISTS ({_AGED.replace(":limit", "1")}) AS aged,
           EXISTS (SELECT FROM idempotency_records o WHERE {OLD_RECORD}) AS keys,
           EXISTS ({ENDED_SENSITIVE}) AS inputs, EXISTS ({BEGUN}) AS repairs
""")


@dataclass(frozen=True, slots=True)
class Anything:
    """Of which kinds there is something to remove or to mend."""

    deleted: bool
    aged: bool
    keys: bool
    inputs: bool
    repairs: bool


async def select_anything(connection: Connection, *, age: timedelta) -> Anything:
    """Read what there is to remove or to mend; `age` is how long Idempotency-Keys are kept."""
    return Anything(*await connection.fetchone(ANYTHING, {"age": age}))
