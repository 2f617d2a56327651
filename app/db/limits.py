"""Concurrency limits: which queues have one, and the locks that make it exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup
from app.db.parameters import Batch, Values
from app.db.projection import Projection, Value
from app.db.statement import Statement, literals
from app.domain.job import ClaimFilter
from app.domain.states import LEASED, LIVE

_QUEUES: Final = tables.queues.alias("q")


@dataclass(frozen=True, slots=True)
class _Projects:
    project_ids: Sequence[UUID]


LIMITED = Statement(
    """
    SELECT DISTINCT :returned FROM queues q
    WHERE q.project_id = ANY (:project_ids) AND q.concurrency_limit IS NOT NULL
    """,
    Values(_Projects),
    Value(UUID, _QUEUES.c.project_id),
)


async def select_limited(connection: Connection, project_ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Return for each project whether it has a queue with a limit: only there does a claim pay for one."""
    limited = set(await connection.fetch(LIMITED, _Projects(project_ids)))
    return {project_id: project_id in limited for project_id in project_ids}


@dataclass(frozen=True, slots=True)
class _Queues:
    project_id: UUID
    queues: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    concurrency_limit: int


LOCK_LIMITED = Statement(
    """
    SELECT :returned FROM queues q
    WHERE q.project_id = :project_id AND q.concurrency_limit IS NOT NULL
      AND (:queues IS NULL OR q.name = ANY (:queues))
    ORDER BY q.name FOR NO KEY UPDATE
    """,
    Values(_Queues),
    Projection(_Limit, _QUEUES, {"concurrency_limit": "q.concurrency_limit"}),
)


class QueueRef(NamedTuple):
    """A queue and its project."""

    project_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class _Held:
    project_id: UUID
    name: str
    held: int


_LEASED_STATES: Final = ", ".join(f"('{state}')" for state in sorted(LEASED))
# Each queue and state by itself, and ordered as the index of live jobs: on an empty table any other costs the same.
COUNT_HELD = Statement(
    f"""
    SELECT :returned
    FROM :rows CROSS JOIN (VALUES {_LEASED_STATES}) AS s (state)
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM jobs j
            WHERE j.project_id = i.project_id AND j.queue = i.name AND j.state = s.state
              AND j.state IN ({literals(LIVE)})
            ORDER BY j.scheduled_at) l
    ) c
    GROUP BY i.project_id, i.name
    """,
    Batch(QueueRef),
    Projection(_Held, columns={"project_id": "i.project_id", "name": "i.name", "held": "CAST(sum(c.n) AS bigint)"}),
)


async def _count_held(connection: Connection, queues: Sequence[QueueRef]) -> dict[QueueRef, int]:
    return {QueueRef(held.project_id, held.name): held.held for held in await connection.fetch(COUNT_HELD, queues)}


async def lock_limited(connection: Connection, claim_filter: ClaimFilter) -> dict[str, int]:
    """Lock the limited queues that a claim may take from; returns how many more of each may be held.

    The count is a statement of its own, after the lock: it sees what the claim before has committed.
    """
    queues = _Queues(claim_filter.project_id, claim_filter.queues)
    limits = {limit.name: limit.concurrency_limit for limit in await connection.fetch(LOCK_LIMITED, queues)}
    if not limits:
        return {}
    held = await _count_held(connection, [QueueRef(claim_filter.project_id, name) for name in limits])
    return {queue.name: max(0, limits[queue.name] - count) for queue, count in held.items()}


@dataclass(frozen=True, slots=True)
class _LockedLimit:
    project_id: UUID
    name: str
    concurrency_limit: int | None
    busy: bool


# Looked up before it is locked: where nothing is limited nothing is locked, and this is all that the limits cost.
LOCK_FREE = Statement(
    f"""
    SELECT :returned FROM :rows
    CROSS JOIN {lookup("queues", "q", project_id="i.project_id", name="i.name")}
    LEFT JOIN LATERAL (
        SELECT l.name, l.concurrency_limit FROM queues l
        WHERE l.project_id = q.project_id AND l.name = q.name
        FOR NO KEY UPDATE SKIP LOCKED
    ) l ON true
    WHERE q.concurrency_limit IS NOT NULL
    """,
    Batch(QueueRef),
    Projection(
        _LockedLimit,
        columns={
            "project_id": "i.project_id",
            "name": "i.name",
            "concurrency_limit": "l.concurrency_limit",
            "busy": "l.name IS NULL",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class FreePlaces:
    """How many more jobs a limited queue may hold. Valid while the queue's lock is held."""

    limit: int
    free: int


async def lock_free(connection: Connection, queues: Sequence[QueueRef]) -> dict[QueueRef, FreePlaces | None]:
    """Lock those of the queues that are limited and not locked by others; returns what each has free, None if it is
    busy. Never waits: its callers hold locks of jobs, and the calls of other projects.
    """
    found = {QueueRef(each.project_id, each.name): each for each in await connection.fetch(LOCK_FREE, queues)}
    # A limit that was taken away before the lock is none.
    limits = {queue: each.concurrency_limit for queue, each in found.items() if each.concurrency_limit is not None}
    held = await _count_held(connection, list(limits)) if limits else {}
    free: dict[QueueRef, FreePlaces | None] = {queue: None for queue, each in found.items() if each.busy}
    return free | {queue: FreePlaces(limit, max(0, limit - held[queue])) for queue, limit in limits.items()}
