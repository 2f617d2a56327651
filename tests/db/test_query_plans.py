"""The hot statements use their indexes even under a generic plan, which is what a prepared statement may get."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from app.db import (
    claims,
    deletions,
    depths,
    events,
    item_pages,
    items,
    job_lists,
    jobs,
    keys,
    limits,
    repairs,
    reports,
    sweeps,
    transitions,
)
from app.db.engine import asyncpg_dsn
from app.db.statement import Statement
from app.domain.states import JobEvent

ROWS = 20_000
FILL = f"""
    INSERT INTO projects (id, name, created_at) VALUES ('00000000-0000-0000-0000-000000000001', 'plans', now());
    INSERT INTO queues (project_id, name, created_at, updated_at)
    SELECT '00000000-0000-0000-0000-000000000001', 'q' || n, now(), now() FROM generate_series(0, 9) n;
    INSERT INTO jobs (project_id, id, type, queue, state, priority, attempt, max_attempts, retry_delay_seconds,
                      retry_factor, retry_max_delay_seconds, labels, version, progress, items_total, items_processed,
                      items_failed, items_skipped, created_at, updated_at, status_changed_at, scheduled_at,
                      completed_at, token, expires_at)
    SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'work', 'q' || n % 10, state, 0, 1, 3, 1, 2, 600,
           '{{}}', 1, 0, 0, 0, 0, 0, now(), now(), now(), now(), CASE WHEN state = 'completed' THEN now() END,
           gen_random_uuid(), CASE WHEN n % 50 = 0 THEN now() + interval '1 day' END
    FROM (SELECT n, CASE n % 20 WHEN 0 THEN 'pending' WHEN 1 THEN 'running' ELSE 'completed' END AS state
          FROM generate_series(1, {ROWS}) n) made;
    INSERT INTO runs (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count, items_processed,
                      items_failed, items_skipped, samples, log_lines, updated_at)
    SELECT project_id, id, 30, now() + interval '30 seconds', 1, 0, 10, 0, 0, 0, '{{}}', 0, now()
    FROM jobs WHERE state = 'running';
    INSERT INTO items (project_id, job_id, position, key, status, updated_at)
    SELECT project_id, job_id, n, 'file-' || n, 'queued', now() FROM runs, generate_series(1, 20) n;
    INSERT INTO keys (project_id, id, name, digest, scopes, created_at)
    SELECT '00000000-0000-0000-0000-000000000001', 'k' || n, 'k', decode(md5(n::text), 'hex'), '{{}}', now()
    FROM generate_series(1, 5000) n;
    INSERT INTO job_labels (project_id, job_id, name, value)
    SELECT project_id, id, 'team', 'team-' || right(id::text, 1) FROM jobs;
    INSERT INTO events (project_id, job_id, type, at, attempt, to_state)
    SELECT project_id, id, 'job.created', now(), 0, 'pending' FROM jobs;
    ANALYZE;
"""

STATEMENTS: dict[str, tuple[Statement[Any, Any], set[str]]] = {
    "list all": (job_lists.listing("all"), {"jobs_pkey"}),
    "list by state": (job_lists.listing("state"), {"jobs_state_id"}),
    "list by label": (job_lists.listing("label"), {"job_labels_value"}),
    "list reruns": (job_lists.listing("original"), {"jobs_original"}),
    "depths": (depths.DEPTHS, {"jobs_live"}),
    "held": (limits.COUNT_HELD, set()),
    "feed": (events.FEED, {"events_feed", "jobs_pkey"}),
    "events of a job": (events.OF_JOB, {"events_pkey", "jobs_pkey"}),
    "aged": (deletions.AGED, {"jobs_ended"}),
    "jobs of a repair": (repairs.JOBS, {"jobs_pkey"}),
    "mend deadlines": (repairs.MEND, {"jobs_pkey"}),
    "anything to prune": (deletions.ANYTHING, {"jobs_ended"}),
    "claim by queue": (claims.CLAIM_BY_QUEUE, {"jobs_waiting", "jobs_pkey"}),
    "claim by id": (claims.CLAIM_BY_ID, {"jobs_pkey"}),
    # Either index of waiting jobs will do: the test below it is that there is one.
    "offers": (claims.CLAIMABLE_FILTERS, set()),
    "select by ids": (jobs.SELECT, {"jobs_pkey", "runs_pkey"}),
    "select with documents": (jobs.SELECT_WITH_DOCUMENTS, {"jobs_pkey", "runs_pkey"}),
    "select changed": (jobs.SELECT_CHANGED, {"jobs_pkey", "runs_pkey"}),
    "due": (sweeps.SELECT_DUE, {"jobs_deadline"}),
    "lock": (transitions.LOCK, {"jobs_pkey"}),
    "admit": (reports.ADMIT, {"jobs_pkey", "runs_pkey"}),
    "record": (reports.RECORD, {"jobs_pkey", "runs_pkey"}),
    "apply items": (items.APPLY, {"items_key"}),
    "page of items": (item_pages.PAGE, {"jobs_pkey", "items_pkey"}),
    "items by offset": (item_pages.OFFSET_PAGE, {"jobs_pkey", "items_pkey"}),
    "number of items": (item_pages.COUNT, {"items_pkey"}),
    "items by key": (item_pages.BY_KEY, {"jobs_pkey", "items_key"}),
    "key": (keys.SELECT_BY_DIGEST, {"keys_digest"}),
    **{
        event.value: (transitions.MOVES[event], {"jobs_pkey", "runs_pkey"})
        for event in JobEvent
        if event is not JobEvent.CLAIM
    },
}
BIG = {"jobs", "items", "keys", "job_labels", "events"}


@pytest_asyncio.fixture(scope="module")
async def filled(create_database: Any) -> AsyncIterator[asyncpg.Connection]:
    """A database with twenty thousand jobs, most of them ended, as after some weeks."""
    connection = await asyncpg.connect(asyncpg_dsn(await create_database()))
    await connection.execute(FILL)
    yield connection
    await connection.close()


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    if "Scan" in node["Node Type"]:
        yield node.get("Relation Name", ""), node.get("Index Name")
    for child in node.get("Plans", ()):
        yield from _scans(child)


async def _plan(connection: asyncpg.Connection, statement: Statement[Any, Any]) -> dict[str, Any]:
    sql = statement.sql
    name = f"plan_{uuid4().hex}"
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    # Types are worked out by PREPARE itself, as for the service.
    await connection.execute(f"PREPARE {name} AS {sql}")
    count = len(set(re.findall(r"\$(\d+)", sql)))
    nulls = f"({', '.join(['NULL'] * count)})" if count else ""
    found = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{nulls}")
    await connection.execute(f"DEALLOCATE {name}")
    plan: dict[str, Any] = json.loads(found)[0]["Plan"]
    return plan


@pytest.mark.parametrize("name", STATEMENTS)
async def test_hot_statement_uses_its_indexes_under_a_generic_plan(filled: asyncpg.Connection, name: str) -> None:
    statement, expected = STATEMENTS[name]

    plan = await _plan(filled, statement)

    scans = list(_scans(plan))
    assert expected <= {index for _, index in scans}, json.dumps(plan, indent=1)
    assert not [table for table, index in scans if table in BIG and index is None], json.dumps(plan, indent=1)


async def test_sweep_for_lapsed_leases_reads_nothing_but_the_narrow_table(filled: asyncpg.Connection) -> None:
    scans = list(_scans(await _plan(filled, sweeps.SELECT_DUE)))
    assert {table for table, _ in scans if table} == {"runs", "jobs"}
    assert {index for table, index in scans if table == "jobs"} == {"jobs_deadline"}


async def test_a_claim_reads_no_more_of_a_backlog_than_it_takes(filled: asyncpg.Connection) -> None:
    """A sort would read a queue's whole backlog; the index gives it in order."""
    plan = await _plan(filled, claims.CLAIM_BY_QUEUE)

    def lateral(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if node["Node Type"] == "LockRows":
            yield node
        for child in node.get("Plans", ()):
            yield from lateral(child)

    (locking,) = lateral(plan)
    (scan,) = locking["Plans"]
    assert (scan["Node Type"], scan["Index Name"]) == ("Index Scan", "jobs_waiting")
