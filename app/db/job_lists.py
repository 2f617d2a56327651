"""Lists of jobs, newest first: ids are UUIDv7 and sort by creation, so that every page is a walk down an index.

The walk is bounded before the conditions are looked at. A sparse filter gives a short page and a place to go on from,
never a scan into the timeout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, Select, TableValuedAlias, and_, bindparam, func, literal_column, select, true

from app.db.connection import Connection
from app.db.job_walks import conditions, has_all, walk_jobs, walk_label, walk_reruns, walk_states
from app.db.jobs import JOB, JOBS, RUNS
from app.db.parameters import Takes, Values
from app.db.projection import Projection
from app.db.statement import CoreStatement
from app.domain.ids import id_at
from app.domain.job import Job
from app.domain.job_filter import JobFilter
from app.domain.states import JobState

HIGHEST, LOWEST = UUID(int=2**128 - 1), UUID(int=0)
CLOCKS_DIFFER_BY = timedelta(days=1)
"""An id is made by the service's clock and `created_at` by the database's. A bound on the time bounds the walk as well,
but for this much.
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
    """The one that is walked."""


_PROJECT: Final[BindParameter[UUID]] = bindparam("project_id")


@dataclass(frozen=True, slots=True)
class _Looked:
    """A job that fits, with what is true of the whole page: a page without one is one row without a job."""

    last_id: UUID | None
    seen: int
    total: int
    job: Job | None


def _listing(
    walk: Select[Any], takes: Takes[Any], *, labels: TableValuedAlias | None = None
) -> CoreStatement[_ListingByLabel, _Looked]:
    walked = walk.cte("w").prefix_with("MATERIALIZED")
    # OFFSET keeps the conditions out of the look-up: to the index of one of them it would seem as good.
    looked_up = (
        select(JOBS)
        .where(JOBS.c.project_id == _PROJECT, JOBS.c.id == walked.c.id)
        .offset(literal_column("0"))
        .lateral("j")
    )
    fits = (
        select(looked_up.c.id)
        .join_from(walked, looked_up, true())
        .where(*conditions(looked_up), *([] if labels is None else [has_all(looked_up, labels)]))
        .cte("fits")
        .prefix_with("MATERIALIZED")
    )
    shown = (
        select(fits.c.id).order_by(fits.c.id.desc()).limit(bindparam("limit")).offset(bindparam("offset")).cte("shown")
    )
    page = select(
        select(walked.c.id).order_by(walked.c.id).limit(1).scalar_subquery().label("last_id"),
        select(func.count()).select_from(walked).scalar_subquery().label("seen"),
        select(func.count()).select_from(fits).scalar_subquery().label("total"),
    ).subquery("page")
    # Sorted, which it need not be, so that it is one look-up for each job that is shown.
    jobs = (
        select(*JOB.elements())
        .join_from(JOBS, RUNS, and_(RUNS.c.project_id == JOBS.c.project_id, RUNS.c.job_id == JOBS.c.id), isouter=True)
        .where(JOBS.c.project_id == _PROJECT, JOBS.c.id == shown.c.id)
        .order_by(JOBS.c.id)
        .lateral("m")
    )
    looked = Projection(_Looked, page, {"job": JOB.over("m", absent_without="id")})
    rows = page.outerjoin(shown.join(jobs, true()), true())
    return CoreStatement(select(*looked.elements()).select_from(rows).order_by(jobs.c.id.desc()), takes, looked)


def _labelled(walk: Select[Any], takes: Takes[Any]) -> CoreStatement[_ListingByLabel, _Looked]:
    return _listing(walk, takes, labels=takes.rows_of("labels"))


WALKS: Final[dict[str, Callable[[], CoreStatement[_ListingByLabel, _Looked]]]] = {
    "original": lambda: _labelled(walk_reruns(), Values(_ListingWithLabels)),
    "label": lambda: _labelled(walk_label(), Values(_ListingByLabel)),
    "state": lambda: _listing(walk_states(), Values(_Listing)),
    "all": lambda: _listing(walk_jobs(), Values(_Listing)),
}
"""Each walks one index, the most selective one that the filter has a condition for."""


@cache
def listing(walk: str) -> CoreStatement[_ListingByLabel, _Looked]:
    """Build the statement that pages along one index."""
    return WALKS[walk]()


@dataclass(frozen=True, slots=True)
class Listed:
    """What a walk found: jobs that fit, how many it looked at, the last of those, and how many of them fit."""

    jobs: Sequence[Job]
    seen: int
    last_id: UUID | None
    total: int


def walk_of(wanted: JobFilter) -> str:
    """Name the index that a filter is walked along."""
    if wanted.original_job_id is not None:
        return "original"
    if wanted.labels:
        return "label"
    return "all" if wanted.states is None else "state"


async def select_page(
    connection: Connection,
    project_id: UUID,
    wanted: JobFilter,
    *,
    before: UUID | None,
    window: int,
    limit: int,
    offset: int = 0,
) -> Listed:
    """Look at up to `window` jobs older than `before`; returns up to `limit` of those that fit, newest first."""
    latest = _id_at(wanted.created_before, CLOCKS_DIFFER_BY, HIGHEST)
    labels = [_Label(*label) for label in wanted.labels]
    parameters = _ListingByLabel(
        project_id=project_id,
        before=latest if before is None else min(before, latest),
        after=_id_at(wanted.created_after, -CLOCKS_DIFFER_BY, LOWEST),
        window=window,
        limit=limit,
        offset=offset,
        states=wanted.states,
        types=wanted.types,
        types_except=wanted.types_except,
        queues=wanted.queues,
        collection=wanted.collection,
        or_no_collection=wanted.or_no_collection,
        created_after=wanted.created_after,
        created_before=wanted.created_before,
        original_job_id=wanted.original_job_id,
        labels=labels,
        label=labels[0] if labels else None,
    )
    rows = await connection.fetch(listing(walk_of(wanted)), parameters)
    first = rows[0]
    return Listed([row.job for row in rows if row.job is not None], first.seen, first.last_id, first.total)


def _id_at(moment: datetime | None, slack: timedelta, otherwise: UUID) -> UUID:
    if moment is None:
        return otherwise
    try:
        return id_at(moment + slack)
    except OverflowError:
        return otherwise
