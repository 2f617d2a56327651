"""Workers that ask for jobs: a row each, written every ten seconds at most, and none of any use after a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import target_by_key
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.states import LEASED
from app.domain.worker import MOST_NAMES, MOST_WORKERS, PRESENT_SECONDS, Worker

_W: Final = tables.workers.alias("w")
IS_RECENT: Final = f"w.asked_at > statement_timestamp() - interval '{PRESENT_SECONDS} seconds'"
"""Whether a worker `w` has asked within the last minute."""


def held_by_workers(project_id: str) -> str:
    """Write the right side of a join: the jobs of a project that somebody holds.

    Along the index of jobs by state, each state by itself: see `job_walks.walk_states`.
    """
    states = ", ".join(f"('{state}')" for state in sorted(LEASED))
    first, last = (f"CAST('{id_}' AS uuid)" for id_ in (UUID(int=0), UUID(int=2**128 - 1)))
    return f"""(VALUES {states}) AS s (state) CROSS JOIN LATERAL (
        SELECT j.worker, j.queue, j.type, j.engine FROM jobs j
        WHERE j.project_id = {project_id} AND j.state >= s.state
          AND (j.state, j.id) > (s.state, {first}) AND (j.state, j.id) < (s.state, {last})
        ORDER BY j.state, j.id
    ) j"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A worker and what it has asked for; lists are JSON, for a batch has no arrays of arrays."""

    project_id: UUID
    name: str
    queues: Any
    types: Any
    more_queues: bool
    more_types: bool
    client: str | None
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class _Write:
    origin: str
    workers: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class _Written:
    project_id: UUID
    is_new: bool


def _names(column: str) -> str:
    return f"""CASE WHEN i.{column} IS NOT NULL
        THEN ARRAY(SELECT json_array_elements_text(CAST(i.{column} AS json))) END"""


_REPLACES: Final = f"""
    (w.origin = excluded.origin OR w.asked_at < statement_timestamp() - interval '{PRESENT_SECONDS} seconds')
"""


def _joined(column: str) -> str:
    both = f"SELECT DISTINCT n.name FROM unnest(w.{column} || excluded.{column}) AS n (name)"
    any_ = f"w.{column} IS NULL OR excluded.{column} IS NULL"
    return f"""
        {column} = CASE WHEN {_REPLACES} THEN excluded.{column} WHEN {any_} THEN NULL
                        ELSE ARRAY({both} ORDER BY n.name LIMIT {MOST_NAMES}) END,
        more_{column} = CASE WHEN {_REPLACES} THEN excluded.more_{column} WHEN {any_} THEN false
                             ELSE w.more_{column} OR excluded.more_{column}
                                  OR (SELECT count(*) FROM ({both}) b) > {MOST_NAMES} END"""


# A process knows all that a worker has asked it for within a minute. What another one has written within a minute is
# added to: a worker may ask several processes, each for something else.
WRITE = Statement(
    f"""
    INSERT INTO workers AS w (project_id, name, queues, types, more_queues, more_types, client, origin, asked_at)
    SELECT i.project_id, i.name, {_names("queues")}, {_names("types")}, i.more_queues, i.more_types, i.client,
           :origin, statement_timestamp() - i.silent_seconds * interval '1 second'
    FROM (SELECT * FROM :workers) i ORDER BY i.project_id, i.name
    ON CONFLICT (project_id, name) DO UPDATE SET
        {_joined("queues")}, {_joined("types")},
        client = excluded.client, origin = excluded.origin, asked_at = greatest(w.asked_at, excluded.asked_at)
    RETURNING :returned
    """,
    Values(_Write),
    # Of a row that was there it has the transaction that locked it.
    Projection(_Written, columns={"project_id": "w.project_id", "is_new": "w.xmax = 0"}),
)


async def write(connection: Connection, origin: str, workers: Sequence[Asked]) -> set[UUID]:
    """Write what workers have asked for; returns the projects that have got a new one."""
    return {row.project_id for row in await connection.fetch(WRITE, _Write(origin, workers)) if row.is_new}


@dataclass(frozen=True, slots=True)
class _Projects:
    project_ids: Sequence[UUID]


DROP_SURPLUS = Statement(
    f"""
    WITH surplus AS MATERIALIZED (
        SELECT s.project_id, s.name FROM unnest(:project_ids) AS p (project_id) CROSS JOIN LATERAL (
            SELECT w.project_id, w.name, row_number() OVER (ORDER BY w.asked_at DESC, w.name) AS place
            FROM workers w WHERE w.project_id = p.project_id
        ) s WHERE s.place > {MOST_WORKERS}
    ), locked AS MATERIALIZED (
        SELECT w.project_id, w.name FROM surplus i
        JOIN workers w ON {target_by_key("w", project_id="i.project_id", name="i.name")}
        ORDER BY w.project_id, w.name FOR UPDATE OF w SKIP LOCKED
    )
    DELETE FROM workers w USING locked i WHERE {target_by_key("w", project_id="i.project_id", name="i.name")}
    """,
    Values(_Projects),
)


async def drop_surplus(connection: Connection, project_ids: Sequence[UUID]) -> int:
    """Delete the longest silent of the workers that a project has too many of; returns how many."""
    return await connection.execute(DROP_SURPLUS, _Projects(project_ids))


@dataclass(frozen=True, slots=True)
class _Aged:
    age_seconds: float
    limit: int


# A worker that has held a job for a day is there, however silent.
DROP_AGED = Statement(
    f"""
    WITH silent AS MATERIALIZED (
        SELECT w.project_id, w.name FROM workers w
        WHERE w.asked_at < statement_timestamp() - :age_seconds * interval '1 second' LIMIT :limit
    ), held AS MATERIALIZED (
        SELECT DISTINCT p.project_id, j.worker
        FROM (SELECT DISTINCT project_id FROM silent) p CROSS JOIN {held_by_workers("p.project_id")}
    ), locked AS MATERIALIZED (
        SELECT w.project_id, w.name FROM silent i
        JOIN workers w ON {target_by_key("w", project_id="i.project_id", name="i.name")}
        WHERE (i.project_id, i.name) NOT IN (SELECT h.project_id, h.worker FROM held h WHERE h.worker IS NOT NULL)
          AND w.asked_at < statement_timestamp() - :age_seconds * interval '1 second'
        ORDER BY w.project_id, w.name FOR UPDATE OF w SKIP LOCKED
    )
    DELETE FROM workers w USING locked i WHERE {target_by_key("w", project_id="i.project_id", name="i.name")}
    """,
    Values(_Aged),
)


async def drop_aged(connection: Connection, *, age_seconds: float, limit: int) -> int:
    """Delete workers that have not asked for so long and hold nothing; returns how many."""
    return await connection.execute(DROP_AGED, _Aged(age_seconds, limit))


@dataclass(frozen=True, slots=True)
class _NamesAfter:
    project_id: UUID
    after: str
    part: str
    limit: int


SELECT_PAGE = Statement(
    f"""
    WITH held AS MATERIALIZED (
        SELECT j.worker, count(*) AS n FROM {held_by_workers(":project_id")} GROUP BY j.worker
    )
    SELECT :returned FROM (
        SELECT * FROM workers w
        WHERE w.project_id = :project_id AND w.name > :after AND strpos(lower(w.name), lower(:part)) > 0
        ORDER BY w.name LIMIT :limit
    ) w LEFT JOIN held h ON h.worker = w.name
    ORDER BY w.name
    """,
    Values(_NamesAfter),
    Projection(
        Worker,
        _W,
        {"present": f"{IS_RECENT} OR coalesce(h.n, 0) > 0", "held": "coalesce(h.n, 0)"},
    ),
)


async def select_page(
    connection: Connection, project_id: UUID, *, after: str, limit: int, part: str = ""
) -> list[Worker]:
    """Read workers behind a name whose names hold `part`, in the order of their names, with what they hold."""
    return await connection.fetch(SELECT_PAGE, _NamesAfter(project_id, after, part, limit))
