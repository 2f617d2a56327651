"""How deep queues are, and how fast they fill and drain."""

from collections.abc import Sequence
from uuid import UUID

from app.db.connection import Connection
from app.db.legacy import Legacy
from app.db.statement import literals
from app.domain.queue import Depth, Rates
from app.domain.states import CLAIMABLE, LIVE, JobState

MOST_COUNTED = 10_000
"""Deeper than this a queue is simply deep: counting on would cost more than the answer is worth."""
# Each queue and state by itself, so that a deep one hides no other; along its own index, the longest due first.
DEPTHS = Legacy(f"""
    SELECT q.project_id, q.name AS queue, s.state, c.n, c.oldest_seconds
    FROM queues q CROSS JOIN (VALUES {", ".join(f"('{state}')" for state in sorted(LIVE))}) AS s (state)
    CROSS JOIN LATERAL (
        SELECT count(*) AS n, CAST(extract(epoch FROM statement_timestamp() - min(l.scheduled_at) FILTER (
                   WHERE l.state IN ({literals(CLAIMABLE)}) AND l.scheduled_at <= statement_timestamp()
                     AND l.engine IS NULL)) AS float8) AS oldest_seconds
        FROM (SELECT j.state, j.scheduled_at, j.engine FROM jobs j
              WHERE j.project_id = q.project_id AND j.queue = q.name AND j.state = s.state
                AND j.state IN ({literals(LIVE)})
              ORDER BY j.scheduled_at LIMIT {MOST_COUNTED}) l
    ) c
    WHERE c.n > 0
""")


async def select_depths(connection: Connection) -> dict[tuple[UUID, str], Depth]:
    """Count the live jobs of all queues of all projects, up to 10,000 of a queue in each state."""
    found: dict[tuple[UUID, str], Depth] = {}
    for row in await connection.fetch(DEPTHS, {}):
        before = found.get((row.project_id, row.queue), Depth())
        ages = [age for age in (before.oldest_waiting_seconds, row.oldest_seconds) if age is not None]
        by_state = {**before.by_state, JobState(row.state): row.n}
        found[row.project_id, row.queue] = Depth(by_state, max(ages, default=None))
    return found


RATES = Legacy(f"""
    SELECT n.name, (SELECT count(*) FROM (
               SELECT FROM jobs j WHERE j.project_id = :project_id AND j.queue = n.name
                 AND j.completed_at > statement_timestamp() - interval '1 minute' LIMIT {MOST_COUNTED}) e) AS ended,
           coalesce(m.created, 0) AS created
    FROM unnest(CAST(:names AS text[])) AS n (name) LEFT JOIN (
        SELECT j.queue, count(*) AS created FROM (
            SELECT j.queue, j.created_at FROM jobs j
            WHERE j.project_id = :project_id AND j.id > :since ORDER BY j.id DESC LIMIT {MOST_COUNTED}) j
        WHERE j.created_at > statement_timestamp() - interval '1 minute' GROUP BY j.queue
    ) m ON m.queue = n.name
""")


async def select_rates(connection: Connection, project_id: UUID, names: Sequence[str], since: UUID) -> dict[str, Rates]:
    """Count what came and ended in the last minute; `since` is an id from somewhat before."""
    rows = await connection.fetch(RATES, {"project_id": project_id, "names": list(names), "since": since})
    return {row.name: Rates(row.created, row.ended) for row in rows}
