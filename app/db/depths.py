"""How deep queues are, and how fast they fill and drain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Double, Text, bindparam, cast, column, extract, func, literal_column, select, true, values

from app.db import tables
from app.db.connection import Connection
from app.db.expressions import is_one_of, unnested
from app.db.parameters import NOTHING, Values
from app.db.projection import Projection
from app.db.statement import CoreStatement
from app.domain.queue import Depth, Rates
from app.domain.states import CLAIMABLE, LIVE, JobState

MOST_COUNTED = 10_000
"""Counting stops here: beyond it an exact number costs more than it is worth."""

_QUEUES: Final = tables.queues.alias("q")
_JOBS: Final = tables.jobs.alias("j")
_NOW: Final = func.statement_timestamp()


@dataclass(frozen=True, slots=True)
class _Counted:
    project_id: UUID
    queue: str
    state: JobState
    n: int
    oldest_seconds: float | None


# Each queue and state by itself, so that a deep one hides no other; along its own index, the longest due first.
_STATES: Final = values(column("state", Text), name="s").data([(state,) for state in sorted(LIVE)])
_SOME: Final = (
    select(_JOBS.c.state, _JOBS.c.scheduled_at, _JOBS.c.engine, _JOBS.c.copying)
    .where(_JOBS.c.project_id == _QUEUES.c.project_id, _JOBS.c.queue == _QUEUES.c.name)
    .where(_JOBS.c.state == _STATES.c.state, is_one_of(_JOBS.c.state, LIVE))
    .order_by(_JOBS.c.scheduled_at)
    .limit(MOST_COUNTED)
    .correlate(_QUEUES, _STATES)
    .subquery("l")
)
_OLDEST: Final = func.min(_SOME.c.scheduled_at).filter(
    is_one_of(_SOME.c.state, CLAIMABLE), _SOME.c.scheduled_at <= _NOW, _SOME.c.engine.is_(None), ~_SOME.c.copying
)
_COUNT: Final = (
    select(
        func.count().label("n"),
        cast(extract("epoch", _NOW - _OLDEST), Double).label("oldest_seconds"),
    )
    .select_from(_SOME)
    .lateral("c")
)
_DEPTH: Final = Projection(
    _Counted, _COUNT, {"project_id": _QUEUES.c.project_id, "queue": _QUEUES.c.name, "state": _STATES.c.state}
)
DEPTHS = CoreStatement(
    select(*_DEPTH.elements()).select_from(_QUEUES.join(_STATES, true()).join(_COUNT, true())).where(_COUNT.c.n > 0),
    NOTHING,
    _DEPTH,
)


async def select_depths(connection: Connection) -> dict[tuple[UUID, str], Depth]:
    """Count the live jobs of all queues of all projects, up to 10,000 of a queue in each state."""
    found: dict[tuple[UUID, str], Depth] = {}
    for counted in await connection.fetch(DEPTHS, None):
        queue = counted.project_id, counted.queue
        before = found.get(queue, Depth())
        ages = [age for age in (before.oldest_waiting_seconds, counted.oldest_seconds) if age is not None]
        found[queue] = Depth({**before.by_state, counted.state: counted.n}, max(ages, default=None))
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
_ENDED: Final = (
    select()
    .where(_JOBS.c.project_id == bindparam("project_id"), _JOBS.c.queue == _NAMES.c.name)
    .where(_JOBS.c.completed_at > _A_MINUTE_AGO)
    .order_by(_JOBS.c.completed_at)
    .limit(MOST_COUNTED)
    .correlate(_NAMES)
    .subquery("e")
)
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
                "ended_per_minute": select(func.count()).select_from(_ENDED).scalar_subquery(),
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
