"""How deep queues are, and how fast they fill and drain.

Counted are the lanes, one of each queue and state, that hold a live job. They are found along the index of live jobs,
one look for each: names that are idle cost nothing, however many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, bindparam, cast, func, literal_column, select

from app.db import tables
from app.db.connection import Connection
from app.db.expressions import is_one_of, unnested
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import CoreStatement, Statement, literals
from app.domain.queue import MOST_COUNTED, Depth, Rates
from app.domain.states import CLAIMABLE, GAVE_UP, LIVE, JobState

_JOBS: Final = tables.jobs.alias("j")
_NOW: Final = func.statement_timestamp()


@dataclass(frozen=True, slots=True)
class _Counted:
    project_id: UUID
    queue: str
    state: JobState
    n: int
    scheduled: int
    oldest_seconds: float | None
    oldest_id: UUID | None


@dataclass(frozen=True, slots=True)
class _NamedQueues:
    project_id: UUID
    names: Sequence[str]


# Each lane by itself, so that a deep one hides no other, and the longest due first: the order of the index.
_LANE: Final = f"""
    SELECT j.state, j.scheduled_at, j.engine, j.copying FROM jobs j
    WHERE j.project_id = l.project_id AND j.queue = l.queue AND j.state = l.state AND j.state IN ({literals(LIVE)})
    ORDER BY j.scheduled_at LIMIT {MOST_COUNTED}
"""
_COUNTS: Final = f"""
    SELECT count(*) AS n,
           count(*) FILTER (
               WHERE s.state IN ({literals(CLAIMABLE)}) AND s.scheduled_at > statement_timestamp()) AS scheduled,
           min(s.scheduled_at) FILTER (
               WHERE s.state IN ({literals(CLAIMABLE)}) AND s.scheduled_at <= statement_timestamp()
                     AND s.engine IS NULL AND NOT s.copying) AS oldest_at
    FROM ({_LANE}) s
"""
# Looked up again along the index of its lane: an ordered aggregate would sort all that were counted.
_OLDEST: Final = f"""
    CASE WHEN c.oldest_at IS NOT NULL THEN (
        SELECT j.id FROM jobs j
        WHERE j.project_id = l.project_id AND j.queue = l.queue AND j.state = l.state AND j.state IN ({literals(LIVE)})
          AND j.scheduled_at = c.oldest_at AND j.engine IS NULL AND NOT j.copying
        LIMIT 1) END
"""
_DEPTH: Final = Projection(
    _Counted,
    columns={
        **{name: f"l.{name}" for name in ("project_id", "queue", "state")},
        **{name: f"c.{name}" for name in ("n", "scheduled")},
        "oldest_seconds": "CAST(extract(epoch FROM statement_timestamp() - c.oldest_at) AS float8)",
        "oldest_id": _OLDEST,
    },
)


def _next_lane(behind: str) -> str:
    return f"""
        SELECT j.project_id, j.queue, j.state FROM jobs j WHERE {behind} j.state IN ({literals(LIVE)})
        ORDER BY j.project_id, j.queue, j.state, j.scheduled_at LIMIT 1
    """


DEPTHS = Statement(
    f"""
    WITH RECURSIVE lanes (project_id, queue, state) AS (
        ({_next_lane("")})
        UNION ALL
        SELECT n.* FROM lanes l CROSS JOIN LATERAL (
            {_next_lane("(j.project_id, j.queue, j.state) > (l.project_id, l.queue, l.state) AND")}
        ) n
    )
    SELECT :returned FROM lanes l CROSS JOIN LATERAL ({_COUNTS}) c WHERE c.n > 0
    """,
    returns=_DEPTH,
)
DEPTHS_OF = Statement(
    f"""
    SELECT :returned FROM (
        SELECT :project_id AS project_id, n.queue, s.state
        FROM unnest(:names) AS n (queue), (VALUES {", ".join(f"('{state}')" for state in sorted(LIVE))}) AS s (state)
    ) l CROSS JOIN LATERAL ({_COUNTS}) c WHERE c.n > 0
    """,
    Values(_NamedQueues),
    _DEPTH,
)


async def select_depths(connection: Connection) -> dict[tuple[UUID, str], Depth]:
    """Count the live jobs of all queues of all projects, up to 10,000 of a queue in each state."""
    return _depths(await connection.fetch(DEPTHS, None))


async def select_depths_of(connection: Connection, project_id: UUID, names: Sequence[str]) -> dict[str, Depth]:
    """Count the live jobs of some queues, up to 10,000 of each in each state; those without any are left out."""
    counted = _depths(await connection.fetch(DEPTHS_OF, _NamedQueues(project_id, names)))
    return {name: depth for (_, name), depth in counted.items()}


def _depths(lanes: Sequence[_Counted]) -> dict[tuple[UUID, str], Depth]:
    found: dict[tuple[UUID, str], Depth] = {}
    for lane in lanes:
        queue = lane.project_id, lane.queue
        before = found.get(queue, Depth())
        age, oldest_id = before.oldest_waiting_seconds, before.oldest_waiting_id
        if lane.oldest_seconds is not None and (age is None or lane.oldest_seconds > age):
            age, oldest_id = lane.oldest_seconds, lane.oldest_id
        scheduled = before.scheduled + lane.scheduled
        found[queue] = Depth({**before.by_state, lane.state: lane.n}, age, scheduled, oldest_id)
    return found


@dataclass(frozen=True, slots=True)
class _RatesRequest:
    project_id: UUID
    names: Sequence[str]
    since: UUID


@dataclass(frozen=True, slots=True)
class _RatesOfQueue:
    name: str
    rates: Rates


_NAMES: Final = unnested("n", name="names")
_A_MINUTE_AGO: Final = _NOW - literal_column("interval '1 minute'")


def _ended(*, gave_up: bool) -> ColumnElement[int]:
    """Count the jobs of a queue that ended in the last minute: each kind of end is a stretch of the index."""
    ended = (
        select()
        .where(_JOBS.c.project_id == bindparam("project_id"), _JOBS.c.queue == _NAMES.c.name)
        .where(cast(is_one_of(_JOBS.c.state, GAVE_UP), Integer) == literal_column(str(int(gave_up))))
        .where(_JOBS.c.completed_at > _A_MINUTE_AGO)
        .order_by(_JOBS.c.completed_at)
        .limit(MOST_COUNTED)
        .correlate(_NAMES)
        .subquery("e")
    )
    return select(func.count()).select_from(ended).scalar_subquery()


_NEWEST: Final = (
    select(_JOBS.c.queue, _JOBS.c.created_at)
    .where(_JOBS.c.project_id == bindparam("project_id"), _JOBS.c.id > bindparam("since"))
    .order_by(_JOBS.c.id.desc())
    .limit(MOST_COUNTED)
    .subquery("w")
)
_CREATED: Final = (
    select(_NEWEST.c.queue, func.count().label("created"))
    .where(_NEWEST.c.created_at > _A_MINUTE_AGO)
    .group_by(_NEWEST.c.queue)
    .subquery("m")
)
_RATES: Final = Projection(
    _RatesOfQueue,
    columns={
        "name": _NAMES.c.name,
        "rates": Projection(
            Rates,
            columns={
                "created_per_minute": func.coalesce(_CREATED.c.created, 0),
                "ended_per_minute": _ended(gave_up=False) + _ended(gave_up=True),
            },
        ),
    },
)
RATES = CoreStatement(
    select(*_RATES.elements()).select_from(_NAMES.outerjoin(_CREATED, _CREATED.c.queue == _NAMES.c.name)),
    Values(_RatesRequest),
    _RATES,
)


async def select_rates(connection: Connection, project_id: UUID, names: Sequence[str], since: UUID) -> dict[str, Rates]:
    """Count what came and ended in the last minute; `since` is an id from somewhat before."""
    rows = await connection.fetch(RATES, _RatesRequest(project_id, names, since))
    return {row.name: row.rates for row in rows}
