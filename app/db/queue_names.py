"""How many queues a project has, which names are new, and which rows of queues are of no use any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.db.aged import ENDED_ORDER
from app.db.connection import Connection
from app.db.lookups import lookup, target_by_key
from app.db.parameters import Batch, Values
from app.db.pauses import OPEN
from app.db.projection import Projection, Value
from app.db.statement import Statement, literals
from app.domain.states import LIVE


@dataclass(frozen=True, slots=True, order=True)
class QueueName:
    """A queue, by its project and its name."""

    project_id: UUID
    name: str


NO_QUEUE: Final = QueueName(UUID(int=0), "")
"""Before all others."""


@dataclass(frozen=True, slots=True)
class _Projects:
    project_ids: Sequence[UUID]


LOCK_PROJECTS = Statement(
    "SELECT FROM projects p WHERE p.id = ANY (:project_ids) ORDER BY p.id FOR NO KEY UPDATE", Values(_Projects)
)


async def lock_projects(connection: Connection, project_ids: Sequence[UUID]) -> None:
    """Lock projects that have got new queues, so that the count is a statement of its own that sees every other's."""
    await connection.execute(LOCK_PROJECTS, _Projects(project_ids))


@dataclass(frozen=True, slots=True)
class _Bounded:
    project_ids: Sequence[UUID]
    most: int


@dataclass(frozen=True, slots=True)
class _Counted:
    project_id: UUID
    n: int


COUNT = Statement(
    """
    SELECT :returned FROM unnest(:project_ids) AS p (project_id) CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM (
            SELECT FROM queues q WHERE q.project_id = p.project_id ORDER BY q.name LIMIT :most
        ) s
    ) c
    """,
    Values(_Bounded),
    Projection(_Counted, columns={"project_id": "p.project_id", "n": "c.n"}),
)


async def count(connection: Connection, project_ids: Sequence[UUID], *, most: int) -> dict[UUID, int]:
    """Count the queues of projects, up to `most` of each."""
    return {row.project_id: row.n for row in await connection.fetch(COUNT, _Bounded(project_ids, most))}


_OF_QUEUE: Final = lookup("queues", "q", project_id="i.project_id", name="i.name")
KNOWN = Statement(
    f"SELECT :returned FROM :rows CROSS JOIN {_OF_QUEUE}",
    Batch(QueueName),
    Projection(QueueName, columns={"project_id": "i.project_id", "name": "i.name"}),
)


async def select_known(connection: Connection, names: Sequence[QueueName]) -> set[QueueName]:
    """Return those of these queues that have a row."""
    return set(await connection.fetch(KNOWN, names))


_WITHOUT_RULES: Final = f"""
    {OPEN} AND q.concurrency_limit IS NULL AND q.retry_delay_seconds IS NULL AND q.retention_seconds IS NULL
    AND q.retention_failed_seconds IS NULL AND q.expected_seconds IS NULL
"""
# Counted, because the planner would turn NOT EXISTS into a join with all jobs there are.
_LIVE_JOB: Final = f"""(SELECT count(*) FROM (
    SELECT FROM jobs j WHERE j.project_id = q.project_id AND j.queue = q.name AND j.state IN ({literals(LIVE)})
    ORDER BY j.state, j.scheduled_at LIMIT 1
) f) > 0"""
_ENDED_JOB: Final = f"""(SELECT count(*) FROM (
    SELECT FROM jobs j WHERE j.project_id = q.project_id AND j.queue = q.name AND j.completed_at IS NOT NULL
    ORDER BY {ENDED_ORDER} LIMIT 1
) f) > 0"""
_WITHOUT_JOBS: Final = f"NOT {_LIVE_JOB} AND NOT {_ENDED_JOB}"


@dataclass(frozen=True, slots=True)
class _Behind:
    project_id: UUID
    name: str
    limit: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Looked:
    """A row of a queue that was looked at, and whether nobody needs it."""

    queue: QueueName
    idle: bool


LOOK = Statement(
    f"""
    SELECT :returned FROM (
        SELECT q.project_id, q.name,
               q.updated_at < statement_timestamp() - :age_seconds * interval '1 second' AND {_WITHOUT_RULES}
               AND {_WITHOUT_JOBS} AS idle
        FROM (
            SELECT * FROM queues q WHERE (q.project_id, q.name) > (:project_id, :name)
            ORDER BY q.project_id, q.name LIMIT :limit
        ) q
    ) s
    """,
    Values(_Behind),
    Projection(
        Looked,
        columns={
            "queue": Projection(QueueName, columns={"project_id": "s.project_id", "name": "s.name"}),
            "idle": "s.idle",
        },
    ),
)


async def look(connection: Connection, behind: QueueName, *, limit: int, age_seconds: float) -> list[Looked]:
    """Look at the rows behind one, in the order of their keys."""
    return await connection.fetch(LOOK, _Behind(behind.project_id, behind.name, limit, age_seconds))


# What has got a rule or a job since it was looked at stays.
FORGET = Statement(
    f"""
    WITH idle AS MATERIALIZED (
        SELECT q.project_id, q.name FROM :rows
        JOIN queues q ON {target_by_key("q", project_id="i.project_id", name="i.name")}
        WHERE {_WITHOUT_RULES} AND {_WITHOUT_JOBS}
        ORDER BY q.project_id, q.name FOR UPDATE OF q SKIP LOCKED
    )
    DELETE FROM queues q USING idle i WHERE {target_by_key("q", project_id="i.project_id", name="i.name")}
    """,
    Batch(QueueName),
)


async def forget(connection: Connection, names: Sequence[QueueName]) -> int:
    """Delete the rows of queues that nobody needs; returns how many."""
    return await connection.execute(FORGET, names)


HAS_LIVE_JOB = Statement(
    "SELECT :returned FROM (SELECT CAST(:project_id AS uuid) AS project_id, CAST(:name AS text) AS name) q",
    Values(QueueName),
    Value(bool, _LIVE_JOB),
)
DELETE = Statement("DELETE FROM queues WHERE project_id = :project_id AND name = :name", Values(QueueName))


async def has_live_job(connection: Connection, name: QueueName) -> bool:
    """Whether a queue has a job that has not ended."""
    return await connection.fetchone(HAS_LIVE_JOB, name)


async def delete(connection: Connection, name: QueueName) -> bool:
    """Delete a queue's row with its rules; returns whether there was one."""
    return await connection.execute(DELETE, name) > 0
