"""Claims: one statement that finds jobs, takes them and leases them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.db import tables
from app.db.claim_candidates import BY_ID, BY_QUEUE, BY_TYPE
from app.db.connection import Connection
from app.db.jobs import JOB, RUN
from app.db.lookups import lookup, target_by_key
from app.db.parameters import Int4, Values
from app.db.projection import LEFT_OUT, Projection
from app.db.sizes import ANY_SIZE, fitting
from app.db.statement import Statement
from app.db.transitions import MOVED, Moved
from app.domain.job import DEFAULT_LEASE_SECONDS, ClaimFilter, Documents, Job


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot for one job in a claim: its worker and its lease token."""

    token: UUID
    worker: str
    lease_seconds: int | None


@dataclass(frozen=True, slots=True)
class _FreePlaces:
    """How many more jobs of a limited queue may be held."""

    name: str
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _QueueClaim:
    project_id: UUID
    queues: Sequence[str] | None
    max: int
    workers: Sequence[str]
    tokens: Sequence[UUID]
    lease_seconds: Sequence[Int4 | None]
    limited: Sequence[_FreePlaces]
    max_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _TypeClaim(_QueueClaim):
    types: Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _IdClaim(_TypeClaim):
    job_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Claimed:
    """One job that a claim took."""

    moved: Moved
    token: UUID
    lease_seconds: float | None
    """How long the lease is, or what is left of one that an earlier claim has begun."""
    checkpoint: Any
    job: Job
    size: int = field(default=0, compare=False)
    """Bytes of all of it."""
    found: int = field(default=0, compare=False)
    """How many jobs the statement could have taken, had there been room for them in the answer."""


CLAIMED: Final = Projection(
    Claimed,
    "j",
    {
        "moved": MOVED,
        "lease_seconds": "CAST(j.lease_seconds AS float8)",
        "checkpoint": tables.checkpoints.alias("j").c.checkpoint,
        "job": JOB.but(
            documents=Projection(
                Documents,
                columns={
                    "payload": tables.payloads.alias("j").c.payload,
                    **dict.fromkeys(("result", "billing", "size"), LEFT_OUT),
                },
            )
        ),
    },
)
DOCUMENTS = f"""
    LEFT JOIN {lookup("payloads", "l", project_id="o.project_id", job_id="o.id")} ON true
    LEFT JOIN {lookup("checkpoints", "c", project_id="o.project_id", job_id="o.id")} ON true
"""


def _claim(candidates: str) -> str:
    return f"""
        WITH free AS (SELECT limited.name, limited.free FROM :limited),
        candidates AS ({candidates}),
        numbered AS (
            SELECT o.*, row_number() OVER (ORDER BY o.priority DESC, o.scheduled_at, o.id) AS n,
                   row_number() OVER (PARTITION BY o.queue ORDER BY o.priority DESC, o.scheduled_at, o.id) AS place
            FROM candidates o
        ),
        placed AS (
            SELECT o.project_id, o.id, o.state, o.n, o.row_size, l.payload, c.checkpoint
            FROM numbered o LEFT JOIN {lookup("queues", "q", project_id="o.project_id", name="o.queue")} ON true
            LEFT JOIN free s ON s.name = o.queue {DOCUMENTS}
            -- A queue that got its limit after this claim read the limits has no free place, as it was not counted.
            WHERE q.concurrency_limit IS NULL OR o.place <= s.free
        ),
        -- What the answer has no room for is not leased.
        taken AS MATERIALIZED ({fitting("SELECT * FROM placed", "n", "payload", "checkpoint")}),
        claimed AS (
            UPDATE jobs j SET state = 'dispatched', attempt = j.attempt + 1, version = j.version + 1,
                worker = (:workers)[o.n], token = (:tokens)[o.n],
                started_at = coalesce(j.started_at, statement_timestamp()),
                status_changed_at = statement_timestamp(), updated_at = statement_timestamp(), overdue = false,
                expected_end_at = statement_timestamp() + j.expected_seconds * interval '1 second'
            FROM taken o
            -- Not by its state as well: the row that was locked may be newer than the one that this statement sees, and
            -- only one that fits as it is seen would be looked at as it is now. Nobody else can change it any more.
            WHERE {target_by_key("j", project_id="o.project_id", id="o.id")}
            RETURNING j.*, o.state AS source, o.n, o.payload, o.checkpoint, o.size, o.found,
                      coalesce((:lease_seconds)[o.n],
                               CASE WHEN j.engine IS NULL THEN {DEFAULT_LEASE_SECONDS} END) AS lease_seconds
        ), leased AS (
            INSERT INTO runs AS r (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count,
                                   items_processed, items_failed, items_skipped, samples, log_lines, updated_at)
            SELECT c.project_id, c.id, c.lease_seconds, statement_timestamp() + c.lease_seconds * interval '1 second',
                   0, 0, c.items_total, 0, 0, 0, '{{}}', 0, statement_timestamp()
            FROM claimed c
            ON CONFLICT (project_id, job_id) DO UPDATE
                SET lease_seconds = excluded.lease_seconds, lease_ends_at = excluded.lease_ends_at
        ), history AS (
            INSERT INTO events (project_id, job_id, type, at, attempt, worker, from_state, to_state)
            SELECT c.project_id, c.id, 'job.claimed', statement_timestamp(), c.attempt, c.worker, c.source, c.state
            FROM claimed c
        )
        -- A run that was there shows as it was before this statement, which has changed nothing but its lease.
        SELECT :returned FROM claimed j LEFT JOIN {RUN} ON true
        ORDER BY j.n
    """


CLAIM_BY_QUEUE = Statement(_claim(BY_QUEUE), Values(_QueueClaim), CLAIMED)
CLAIM_BY_TYPE = Statement(_claim(BY_TYPE), Values(_TypeClaim), CLAIMED)
CLAIM_BY_ID = Statement(_claim(BY_ID), Values(_IdClaim), CLAIMED)


async def claim(
    connection: Connection,
    claim_filter: ClaimFilter,
    slots: Sequence[Slot],
    *,
    free: Mapping[str, int] | None = None,
    max_size: int = ANY_SIZE,
) -> list[Claimed]:
    """Take a job for each slot, as far as there are any: the most urgent for the first. No more than `max_size` bytes
    are taken, but for the first.

    `free` is how many more jobs of each limited queue may be held; the caller has locked those queues.
    """
    values: dict[str, Any] = {
        "project_id": claim_filter.project_id,
        "queues": claim_filter.queues,
        "max": len(slots),
        "workers": [slot.worker for slot in slots],
        "tokens": [slot.token for slot in slots],
        "lease_seconds": [slot.lease_seconds for slot in slots],
        "limited": [_FreePlaces(name, places) for name, places in (free or {}).items()],
        "max_size": max_size,
    }
    types, job_ids = claim_filter.types, claim_filter.job_ids
    if job_ids is not None:
        return await connection.fetch(CLAIM_BY_ID, _IdClaim(**values, types=types, job_ids=job_ids))
    if types is not None:
        return await connection.fetch(CLAIM_BY_TYPE, _TypeClaim(**values, types=types))
    return await connection.fetch(CLAIM_BY_QUEUE, _QueueClaim(**values))
