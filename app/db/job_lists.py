"""Lists of jobs, newest first: ids are UUIDv7 and sort by creation, so that every page is a walk down an index.

The walk is bounded before the conditions are applied: a sparse filter returns a short page and a position to continue
from, and never scans until the timeout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import CTE, BindParameter, Select, Subquery, and_, bindparam, func, literal_column, select, true

from app.db.connection import Connection
from app.db.job_walks import paged, walk_jobs, walk_label, walk_reruns, walk_states
from app.db.jobs import JOB, JOBS, RUNS
from app.db.parameters import Takes, Values
from app.db.projection import Projection
from app.db.sizes import ANY_SIZE, FITS, JOB_SIZE
from app.db.statement import CoreStatement
from app.domain.ids import id_at
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.states import JobState

HIGHEST, LOWEST = UUID(int=2**128 - 1), UUID(int=0)
CLOCKS_DIFFER_BY = timedelta(days=1)
"""Ids come from the service's clock, `created_at` from the database's. A bound on the time bounds the walk of ids too,
widened by this much.
"""


class _Label(NamedTuple):
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    project_id: UUID
    before: UUID
    after: UUID
    window: int
    limit: int
    offset: int
    max_size: int
    states: frozenset[JobState] | None
    types: frozenset[str] | None
    types_except: frozenset[str] | None
    queues: frozenset[str] | None
    collection: str | None
    or_no_collection: bool
    created_after: datetime | None
    created_before: datetime | None
    original_job_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListingWithLabels(_Listing):
    labels: Sequence[_Label]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ListingByLabel(_ListingWithLabels):
    label: _Label | None
    """The label whose index is walked."""


_PROJECT: Final[BindParameter[UUID]] = bindparam("project_id")


@dataclass(frozen=True, slots=True)
class _Row:
    """Totals of the page, repeated on each of its rows. A page without jobs is one row whose job is null."""

    last_id: UUID | None
    seen: int
    total: int


@dataclass(frozen=True, slots=True)
class _JobRow(_Row):
    size: int | None
    job: Job | None


@dataclass(frozen=True, slots=True)
class _IdRow(_Row):
    job_id: UUID | None


def _job_listing(shown: CTE, page: Subquery, takes: Takes[Any]) -> CoreStatement[_ListingByLabel, _JobRow]:
    # The order means nothing here: it keeps the planner at one look-up for each job that is shown.
    jobs = (
        select(*JOB.elements(), literal_column(JOB_SIZE).label("size"))
        .join_from(JOBS, RUNS, and_(RUNS.c.project_id == JOBS.c.project_id, RUNS.c.job_id == JOBS.c.id), isouter=True)
        .where(JOBS.c.project_id == _PROJECT, JOBS.c.id == shown.c.id)
        .order_by(JOBS.c.id)
        .lateral("l")
    )
    newest_first = jobs.c.id.desc()
    measured = (
        select(
            jobs,
            func.row_number().over(order_by=newest_first).label("place"),
            func.sum(jobs.c.size).over(order_by=newest_first).label("size_so_far"),
        )
        .join_from(shown, jobs, true())
        .subquery("m")
    )
    row = Projection(_JobRow, page, {"size": "m.size_so_far", "job": JOB.over("m", absent_without="id")})
    rows = page.outerjoin(measured, literal_column(FITS))
    return CoreStatement(select(*row.elements()).select_from(rows).order_by(measured.c.id.desc()), takes, row)


def _id_listing(shown: CTE, page: Subquery, takes: Takes[Any]) -> CoreStatement[_ListingByLabel, _IdRow]:
    row = Projection(_IdRow, page, {"job_id": "shown.id"})
    rows = page.outerjoin(shown, true())
    return CoreStatement(select(*row.elements()).select_from(rows).order_by(shown.c.id.desc()), takes, row)


WALKS: Final[dict[str, tuple[Callable[[], Select[Any]], type[Any]]]] = {
    "original": (walk_reruns, _ListingWithLabels),
    "label": (walk_label, _ListingByLabel),
    "state": (walk_states, _Listing),
    "all": (walk_jobs, _Listing),
}
"""Each walks one index, the most selective one that the filter has a condition for; with the parameters it takes."""


def _walk(name: str) -> tuple[CTE, Subquery, Takes[Any]]:
    walk, parameters = WALKS[name]
    takes = Values(parameters)
    labels = takes.rows_of("labels") if issubclass(parameters, _ListingWithLabels) else None
    return *paged(walk(), labels), takes


@cache
def listing(walk: str) -> CoreStatement[_ListingByLabel, _JobRow]:
    """Build the statement that pages along one index."""
    return _job_listing(*_walk(walk))


@cache
def id_listing(walk: str) -> CoreStatement[_ListingByLabel, _IdRow]:
    """Build the statement that pages along one index and returns ids alone, without a look-up of what is shown."""
    shown, page, takes = _walk(walk)
    return _id_listing(shown, page, takes.without("max_size"))


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Listed(Generic[Found]):
    """What a walk found: jobs that match, how many it examined, the last of those, how many of them match, and how many
    bytes the jobs take that are here.
    """

    jobs: Sequence[Found]
    seen: int
    last_id: UUID | None
    total: int
    size: int


def walk_of(job_filter: JobFilter) -> str:
    """Name the index that a filter is walked along."""
    if job_filter.original_job_id is not None:
        return "original"
    if job_filter.labels:
        return "label"
    return "all" if job_filter.states is None else "state"


async def select_page(
    connection: Connection,
    project_id: UUID,
    job_filter: JobFilter,
    *,
    before: UUID | None,
    window: int,
    limit: int,
    offset: int = 0,
    max_size: int = ANY_SIZE,
) -> Listed[Job]:
    """Examine up to `window` jobs older than `before`; returns up to `limit` of those that match, newest first, and no
    more than `max_size` bytes of them, but for the first.
    """
    parameters = _parameters(project_id, job_filter, before, window, limit, offset, max_size)
    rows = await connection.fetch(listing(walk_of(job_filter)), parameters)
    return _listed([row.job for row in rows if row.job is not None], rows[0], int(rows[-1].size or 0))


async def select_ids(
    connection: Connection, project_id: UUID, job_filter: JobFilter, *, before: UUID | None, window: int, limit: int
) -> Listed[UUID]:
    """Find the same jobs as `select_page` and return their ids alone."""
    parameters = _parameters(project_id, job_filter, before, window, limit)
    rows = await connection.fetch(id_listing(walk_of(job_filter)), parameters)
    return _listed([row.job_id for row in rows if row.job_id is not None], rows[0])


def _listed(jobs: Sequence[Found], row: _Row, size: int = 0) -> Listed[Found]:
    return Listed(jobs, row.seen, row.last_id, row.total, size)


def _parameters(
    project_id: UUID,
    job_filter: JobFilter,
    before: UUID | None,
    window: int,
    limit: int,
    offset: int = 0,
    max_size: int = ANY_SIZE,
) -> _ListingByLabel:
    latest = _id_at(job_filter.created_before, CLOCKS_DIFFER_BY, HIGHEST)
    labels = [_Label(*label) for label in job_filter.labels]
    return _ListingByLabel(
        project_id=project_id,
        before=latest if before is None else min(before, latest),
        after=_id_at(job_filter.created_after, -CLOCKS_DIFFER_BY, LOWEST),
        window=window,
        limit=limit,
        offset=offset,
        max_size=max_size,
        states=job_filter.states,
        types=job_filter.types,
        types_except=job_filter.types_except,
        queues=job_filter.queues,
        collection=job_filter.collection,
        or_no_collection=job_filter.or_no_collection,
        created_after=job_filter.created_after,
        created_before=job_filter.created_before,
        original_job_id=job_filter.original_job_id,
        labels=labels,
        label=labels[0] if labels else None,
    )


def _id_at(moment: datetime | None, slack: timedelta, otherwise: UUID) -> UUID:
    if moment is None:
        return otherwise
    try:
        return id_at(moment + slack)
    except OverflowError:
        return otherwise
