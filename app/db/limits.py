"""Concurrency limits: which queues have one, and the lock that makes it exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import Values
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


@dataclass(frozen=True, slots=True)
class _Held:
    queue: str
    held: int


@dataclass(frozen=True, slots=True)
class _Names:
    project_id: UUID
    names: Sequence[str]


_LEASED_STATES: Final = ", ".join(f"('{state}')" for state in sorted(LEASED))
# Each queue and state by itself, and ordered as the index of live jobs: on an empty table any other costs the same.
COUNT_HELD = Statement(
    f"""
    SELECT :returned
    FROM unnest(:names) AS n (name) CROSS JOIN (VALUES {_LEASED_STATES}) AS s (state)
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM jobs j
            WHERE j.project_id = :project_id AND j.queue = n.name AND j.state = s.state
              AND j.state IN ({literals(LIVE)})
            ORDER BY j.scheduled_at) l
    ) c
    GROUP BY n.name
    """,
    Values(_Names),
    Projection(_Held, columns={"queue": "n.name", "held": "CAST(sum(c.n) AS bigint)"}),
)


async def lock_limited(connection: Connection, claim_filter: ClaimFilter) -> dict[str, int]:
    """Lock the limited queues that a claim may take from; returns how many more of each may be held.

    The count is a statement of its own, after the lock: it sees what the claim before has committed.
    """
    queues = _Queues(claim_filter.project_id, claim_filter.queues)
    limits = {limit.name: limit.concurrency_limit for limit in await connection.fetch(LOCK_LIMITED, queues)}
    if not limits:
        return {}
    counted = await connection.fetch(COUNT_HELD, _Names(claim_filter.project_id, list(limits)))
    held = {count.queue: count.held for count in counted}
    return {name: max(0, limit - held.get(name, 0)) for name, limit in limits.items()}
