"""Queues: their rules, how deep they are, and the lock that makes a concurrency limit exact."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.tables import literals
from app.domain.job import ClaimFilter, Retry
from app.domain.queue import Depth, Queue, QueueRules, Rates
from app.domain.states import CLAIMABLE, LEASED, LIVE, JobState

_COLUMNS = """q.name, q.paused, q.concurrency_limit, q.retry_delay_seconds, q.retry_factor, q.retry_max_delay_seconds,
    q.retention_seconds, q.created_at, q.updated_at"""

SELECT_PAGE = Statement(f"""
    SELECT {_COLUMNS} FROM queues q WHERE q.project_id = :project_id AND q.name > :after ORDER BY q.name LIMIT :limit
""")
_ONE = f"SELECT {_COLUMNS} FROM queues q WHERE q.project_id = :project_id AND q.name = :name"
SELECT_ONE = Statement(_ONE)
LOCK_ONE = Statement(f"{_ONE} FOR NO KEY UPDATE")


def _queue(row: Row) -> Queue:
    retry = None
    if row.retry_delay_seconds is not None:
        retry = Retry(row.retry_delay_seconds, row.retry_factor, row.retry_max_delay_seconds)
    rules = QueueRules(
        paused=row.paused,
        concurrency_limit=row.concurrency_limit,
        retry=retry,
        retention_seconds=row.retention_seconds,
    )
    return Queue(row.name, rules, row.created_at, row.updated_at)


async def select_page(connection: Connection, project_id: UUID, *, after: str, limit: int) -> list[Queue]:
    """Read queues behind a name, in the order of their names."""
    rows = await connection.fetch(SELECT_PAGE, {"project_id": project_id, "after": after, "limit": limit})
    return [_queue(row) for row in rows]


async def select_one(connection: Connection, project_id: UUID, name: str) -> Queue | None:
    """Read one queue."""
    row = await connection.fetchrow(SELECT_ONE, {"project_id": project_id, "name": name})
    return None if row is None else _queue(row)


async def lock_one(connection: Connection, project_id: UUID, name: str) -> Queue | None:
    """Read one queue as it stays until this transaction changes it."""
    row = await connection.fetchrow(LOCK_ONE, {"project_id": project_id, "name": name})
    return None if row is None else _queue(row)


PUT = Statement(f"""
    INSERT INTO queues AS q (project_id, name, paused, concurrency_limit, retry_delay_seconds, retry_factor,
                             retry_max_delay_seconds, retention_seconds, created_at, updated_at)
    VALUES (:project_id, :name, :paused, :concurrency_limit, :delay, :factor, :max_delay, :retention,
            statement_timestamp(), statement_timestamp())
    ON CONFLICT (project_id, name) DO UPDATE
        SET paused = excluded.paused, concurrency_limit = excluded.concurrency_limit,
            retry_delay_seconds = excluded.retry_delay_seconds, retry_factor = excluded.retry_factor,
            retry_max_delay_seconds = excluded.retry_max_delay_seconds,
            retention_seconds = excluded.retention_seconds, updated_at = excluded.updated_at
    RETURNING {_COLUMNS}
""")


async def put(connection: Connection, project_id: UUID, name: str, rules: QueueRules) -> Queue:
    """Set a queue's rules; makes the queue if it is new."""
    retry = rules.retry
    found = await connection.fetchone(
        PUT,
        {
            "project_id": project_id,
            "name": name,
            "paused": rules.paused,
            "concurrency_limit": rules.concurrency_limit,
            "delay": retry and retry.delay_seconds,
            "factor": retry and retry.factor,
            "max_delay": retry and retry.max_delay_seconds,
            "retention": rules.retention_seconds,
        },
    )
    return _queue(found)


SET_PAUSED = Statement(f"""
    UPDATE queues AS q SET paused = :paused, updated_at = statement_timestamp()
    WHERE q.project_id = :project_id AND q.name = :name RETURNING {_COLUMNS}
""")


async def set_paused(connection: Connection, project_id: UUID, name: str, *, paused: bool) -> Queue | None:
    """Pause a queue or let it go on; None if there is no such queue."""
    row = await connection.fetchrow(SET_PAUSED, {"project_id": project_id, "name": name, "paused": paused})
    return None if row is None else _queue(row)


LIMITED = Statement("""
    SELECT DISTINCT q.project_id FROM queues q
    WHERE q.project_id = ANY (CAST(:project_ids AS uuid[])) AND q.concurrency_limit IS NOT NULL
""")


async def select_limited(connection: Connection, project_ids: Sequence[UUID]) -> dict[UUID, bool]:
    """Say which projects have a queue with a limit: only there does a claim pay for one."""
    limited = {row.project_id for row in await connection.fetch(LIMITED, {"project_ids": project_ids})}
    return {project_id: project_id in limited for project_id in project_ids}


def _rows(states: Iterable[JobState]) -> str:
    return ", ".join(f"('{state}')" for state in sorted(states))


LOCK_LIMITED = Statement("""
    SELECT q.name, q.concurrency_limit FROM queues q
    WHERE q.project_id = :project_id AND q.concurrency_limit IS NOT NULL
      AND (CAST(:queues AS text[]) IS NULL OR q.name = ANY (CAST(:queues AS text[])))
    ORDER BY q.name FOR NO KEY UPDATE
""")
# Each queue and state by itself, and in the order of the index of live jobs: on an empty table any other seems as good.
COUNT_HELD = Statement(f"""
    SELECT n.name AS queue, CAST(sum(c.n) AS bigint) AS held
    FROM unnest(CAST(:names AS text[])) AS n (name) CROSS JOIN (VALUES {_rows(LEASED)}) AS s (state)
    CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM jobs j
            WHERE j.project_id = :project_id AND j.queue = n.name AND j.state = s.state
              AND j.state IN ({literals(LIVE)})
            ORDER BY j.scheduled_at) l
    ) c
    GROUP BY n.name
""")


async def lock_limited(connection: Connection, wanted: ClaimFilter) -> dict[str, int]:
    """Lock the limited queues that a claim looks at; gives how many more of each may be held.

    The count is a statement of its own, after the lock: it sees what the claim before has committed.
    """
    queues = None if wanted.queues is None else list(wanted.queues)
    rows = await connection.fetch(LOCK_LIMITED, {"project_id": wanted.project_id, "queues": queues})
    limits = {row.name: row.concurrency_limit for row in rows}
    if not limits:
        return {}
    counted = await connection.fetch(COUNT_HELD, {"project_id": wanted.project_id, "names": list(limits)})
    held = {row.queue: row.held for row in counted}
    return {name: max(0, limit - held.get(name, 0)) for name, limit in limits.items()}


MOST_COUNTED = 10_000
"""Deeper than this a queue is simply deep: counting on would cost more than the answer is worth."""
# Each queue and state by itself, so that a deep one hides no other; along its own index, the longest due first.
DEPTHS = Statement(f"""
    SELECT q.project_id, q.name AS queue, s.state, c.n, c.oldest_seconds
    FROM queues q CROSS JOIN (VALUES {_rows(LIVE)}) AS s (state)
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
    for row in await connection.fetch(DEPTHS):
        before = found.get((row.project_id, row.queue), Depth())
        ages = [age for age in (before.oldest_waiting_seconds, row.oldest_seconds) if age is not None]
        by_state = {**before.by_state, JobState(row.state): row.n}
        found[row.project_id, row.queue] = Depth(by_state, max(ages, default=None))
    return found


RATES = Statement(f"""
    SELECT n.name, (SELECT count(*) FROM (
               SELECT FROM jobs j WHERE j.project_id = :project_id AND j.queue = n.name
                 AND j.completed_at > statement_timestamp() - interval '1 minute'
               ORDER BY j.completed_at LIMIT {MOST_COUNTED}) e) AS ended,
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
