"""Handing out jobs: one statement that finds, takes and leases them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.jobs import COLUMNS, job_from_row
from app.db.lookups import lookup, state_among, target_by_key
from app.db.tables import literals
from app.db.transitions import Moved, moved_from_row
from app.domain.job import DEFAULT_LEASE_SECONDS, ClaimFilter, Documents, Job
from app.domain.states import CLAIMABLE, LEASED

_DUE = """
    j.scheduled_at <= statement_timestamp() AND (j.expires_at IS NULL OR j.expires_at > statement_timestamp())
"""
_WAITING_IN_QUEUE = f"""
    j.project_id = q.project_id AND j.queue = q.name AND j.engine IS NULL
    AND j.state IN ({literals(CLAIMABLE)}) AND {_DUE}
"""
_WAITING = f"{state_among(CLAIMABLE)} AND {_DUE}"
_MOST_URGENT_FIRST = "ORDER BY j.priority DESC, j.scheduled_at, j.id"
_OFFER = "j.project_id, j.id, j.state, j.priority, j.scheduled_at, j.queue"

# Each queue is walked along its own index, so that a backlog of a million in one costs nothing to a claim from another;
# SKIP LOCKED lets concurrent claimers pass each other. A few rows more than asked for may be locked until the commit.
OFFERED_BY_QUEUE = f"""
    SELECT c.* FROM queues q LEFT JOIN free s ON s.name = q.name CROSS JOIN LATERAL (
        SELECT {_OFFER} FROM jobs j
        WHERE {_WAITING_IN_QUEUE} AND (CAST(:types AS text[]) IS NULL OR j.type = ANY (CAST(:types AS text[])))
        {_MOST_URGENT_FIRST} LIMIT least(:max, s.free) FOR NO KEY UPDATE SKIP LOCKED
    ) c
    WHERE q.project_id = :project_id AND NOT q.paused AND (q.concurrency_limit IS NULL OR s.free IS NOT NULL)
      AND (CAST(:queues AS text[]) IS NULL OR q.name = ANY (CAST(:queues AS text[])))
    ORDER BY c.priority DESC, c.scheduled_at, c.id LIMIT :max
"""

_FITTING = f"""
    {_WAITING} AND (CAST(:types AS text[]) IS NULL OR j.type = ANY (CAST(:types AS text[])))
    AND (CAST(:queues AS text[]) IS NULL OR j.queue = ANY (CAST(:queues AS text[])))
"""
# Only this way are the jobs of an engine handed out. Sorted first and then locked one by one, so that no more are
# locked than are taken: another claim that names the same jobs gets the rest.
OFFERED_BY_ID = f"""
    SELECT c.* FROM (
        SELECT j.id FROM (SELECT DISTINCT a.id FROM unnest(CAST(:job_ids AS uuid[])) AS a (id)) a
        CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="a.id")}
        WHERE {_FITTING} {_MOST_URGENT_FIRST}
    ) f CROSS JOIN LATERAL (
        SELECT {_OFFER} FROM jobs j WHERE j.project_id = :project_id AND j.id = f.id AND {_FITTING}
        FOR NO KEY UPDATE SKIP LOCKED
    ) c
    LIMIT :max
"""


_TAKEN = """
    j.state, j.attempt, j.worker, j.queue, j.type, j.engine, j.scheduled_at, statement_timestamp() AS now, j.token
"""
_WHOLE = f"c.checkpoint, l.payload, {COLUMNS}"
_PARTS = f"""
    LEFT JOIN {lookup("runs", "r", project_id="j.project_id", job_id="j.id")} ON true
    LEFT JOIN {lookup("checkpoints", "c", project_id="j.project_id", job_id="j.id")} ON true
    LEFT JOIN {lookup("payloads", "l", project_id="j.project_id", job_id="j.id")} ON true
"""


def _claim(offered: str) -> str:
    return f"""
        WITH free AS (
            SELECT f.name, f.free FROM unnest(CAST(:limited AS text[]), CAST(:free AS bigint[])) AS f (name, free)
        ),
        offered AS ({offered}),
        numbered AS (
            SELECT o.*, row_number() OVER (ORDER BY o.priority DESC, o.scheduled_at, o.id) AS n,
                   row_number() OVER (PARTITION BY o.queue ORDER BY o.priority DESC, o.scheduled_at, o.id) AS place
            FROM offered o
        ),
        placed AS MATERIALIZED (
            SELECT o.* FROM numbered o CROSS JOIN {lookup("queues", "q", project_id="o.project_id", name="o.queue")}
            LEFT JOIN free s ON s.name = o.queue
            -- A queue whose limit is news to this claim has no free place: what is not counted is not taken.
            WHERE q.concurrency_limit IS NULL OR o.place <= s.free
        ),
        claimed AS (
            UPDATE jobs j SET state = 'dispatched', attempt = j.attempt + 1, version = j.version + 1,
                worker = (CAST(:workers AS text[]))[o.n], token = (CAST(:tokens AS uuid[]))[o.n],
                started_at = coalesce(j.started_at, statement_timestamp()),
                status_changed_at = statement_timestamp(), updated_at = statement_timestamp()
            FROM placed o
            -- Not by its state as well: the row that was locked may be newer than the one that this statement sees, and
            -- only one that fits as it is seen would be looked at as it is now. Nobody else can change it any more.
            WHERE {target_by_key("j", project_id="o.project_id", id="o.id")}
            RETURNING j.*, o.state AS source, o.n,
                      coalesce((CAST(:lease_seconds AS integer[]))[o.n],
                               CASE WHEN j.engine IS NULL THEN {DEFAULT_LEASE_SECONDS} END) AS lease_seconds
        ), leased AS (
            INSERT INTO runs AS r (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count,
                                   items_processed, items_failed, items_skipped, samples, log_lines, updated_at)
            SELECT c.project_id, c.id, c.lease_seconds, statement_timestamp() + c.lease_seconds * interval '1 second',
                   0, 0, c.items_total, 0, 0, 0, '{{}}', 0, statement_timestamp()
            FROM claimed c
            ON CONFLICT (project_id, job_id) DO UPDATE
                SET lease_seconds = excluded.lease_seconds, lease_ends_at = excluded.lease_ends_at
        ), told AS (
            INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state)
            SELECT c.project_id, c.id, 'job.claimed', statement_timestamp(), c.attempt, c.worker, c.source, c.state
            FROM claimed c
        )
        -- A run that was there shows as it was before this statement, which has changed nothing but its lease.
        SELECT j.project_id, j.id, j.source, {_TAKEN}, j.lease_seconds, {_WHOLE} FROM claimed j {_PARTS}
        ORDER BY j.n
    """


CLAIM_BY_QUEUE = Statement(_claim(OFFERED_BY_QUEUE))
CLAIM_BY_ID = Statement(_claim(OFFERED_BY_ID))


@dataclass(frozen=True, slots=True)
class Taken:
    """One job a claim took."""

    moved: Moved
    token: UUID
    lease_seconds: int | None
    checkpoint: Any
    job: Job


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one job in a claim: who gets it, and under which token."""

    token: UUID
    worker: str
    lease_seconds: int | None


_JOB_AT = 15
"""Where the job's own columns begin."""


def _taken(row: Row) -> Taken:
    token, lease_seconds, checkpoint, payload = row[_JOB_AT - 4 : _JOB_AT]
    job = job_from_row(row, Documents(payload), first=_JOB_AT)
    return Taken(moved_from_row(row), token, lease_seconds, checkpoint, job)


async def claim(
    connection: Connection,
    wanted: ClaimFilter,
    places: Sequence[Place],
    *,
    free: Mapping[str, int] | None = None,
) -> list[Taken]:
    """Take a job for each place, as far as there are any: the most urgent for the first.

    `free` says how many more jobs of each limited queue may be held; the caller has locked those queues.
    """
    free = free or {}
    parameters: dict[str, Any] = {
        "project_id": wanted.project_id,
        "queues": wanted.queues,
        "types": wanted.types,
        "max": len(places),
        "workers": [place.worker for place in places],
        "tokens": [place.token for place in places],
        "lease_seconds": [place.lease_seconds for place in places],
        "limited": list(free),
        "free": list(free.values()),
    }
    statement = CLAIM_BY_QUEUE
    if wanted.job_ids is not None:
        statement = CLAIM_BY_ID
        parameters["job_ids"] = wanted.job_ids
    return [_taken(row) for row in await connection.fetch(statement, parameters)]


STILL_TAKEN = Statement(f"""
    SELECT j.project_id, j.id, j.state AS source, {_TAKEN}, r.lease_seconds, {_WHOLE}
    FROM unnest(CAST(:job_ids AS uuid[]), CAST(:tokens AS uuid[])) AS i (job_id, token)
    CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="i.job_id")}
    {_PARTS}
    WHERE j.token = i.token AND {state_among(LEASED)}
    ORDER BY j.priority DESC, j.scheduled_at, j.id
""")


async def select_taken(connection: Connection, project_id: UUID, tokens: Mapping[str, str]) -> list[Taken]:
    """Give the jobs of an earlier claim, by the tokens it gave them, that are still held under those."""
    rows = await connection.fetch(
        STILL_TAKEN,
        {
            "project_id": project_id,
            "job_ids": [UUID(job_id) for job_id in tokens],
            "tokens": [UUID(token) for token in tokens.values()],
        },
    )
    return [_taken(row) for row in rows]


OFFERS = Statement(f"""
    SELECT w.n FROM json_to_recordset(CAST(CAST(:filters AS text) AS json))
         AS w (n integer, project_id uuid, queues json, types json, job_ids json)
    WHERE w.job_ids IS NULL AND EXISTS (
        SELECT FROM queues q CROSS JOIN LATERAL (
            SELECT FROM jobs j
            WHERE {_WAITING_IN_QUEUE} AND (w.types IS NULL OR j.type IN (SELECT json_array_elements_text(w.types)))
            {_MOST_URGENT_FIRST} LIMIT 1
        ) c
        WHERE q.project_id = w.project_id AND NOT q.paused
          AND (w.queues IS NULL OR q.name IN (SELECT json_array_elements_text(w.queues)))
    )
    OR EXISTS (
        SELECT FROM json_array_elements_text(w.job_ids) AS a (id)
        CROSS JOIN {lookup("jobs", "j", project_id="w.project_id", id="CAST(a.id AS uuid)")}
        WHERE {_WAITING} AND (w.queues IS NULL OR j.queue IN (SELECT json_array_elements_text(w.queues)))
          AND (w.types IS NULL OR j.type IN (SELECT json_array_elements_text(w.types)))
    )
""")


async def select_offers(connection: Connection, filters: Sequence[ClaimFilter]) -> list[ClaimFilter]:
    """Say which of these filters some waiting job fits: one statement for all idle claimers of a process."""
    described = [
        {
            "n": n,
            "project_id": str(wanted.project_id),
            "queues": None if wanted.queues is None else list(wanted.queues),
            "types": None if wanted.types is None else list(wanted.types),
            "job_ids": None if wanted.job_ids is None else [str(job_id) for job_id in wanted.job_ids],
        }
        for n, wanted in enumerate(filters)
    ]
    rows = await connection.fetch(OFFERS, {"filters": json.dumps(described)})
    return [filters[row.n] for row in rows]
