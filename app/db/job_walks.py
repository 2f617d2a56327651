"""The indexes that lists of jobs walk along, newest job first, and the conditions that each job must then meet."""

from typing import Any, Final

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    TableValuedAlias,
    all_,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)

from app.db import tables
from app.db.expressions import unnested
from app.db.jobs import JOBS

_LABELS: Final = tables.job_labels.alias("l")


def walk_jobs() -> Select[Any]:
    """Walk all jobs."""
    return (
        select(JOBS.c.id)
        .where(JOBS.c.project_id == bindparam("project_id"))
        .where(JOBS.c.id < bindparam("before"), JOBS.c.id > bindparam("after"))
        .order_by(JOBS.c.id.desc())
        .limit(bindparam("window"))
    )


def walk_reruns() -> Select[Any]:
    """Walk the reruns of one job along their own index, kept from the others as in `jobs.SELECT_LIVE_RERUN`."""
    original: BindParameter[Any] = bindparam("original_job_id")
    reruns = (
        select(JOBS.c.id)
        .where(JOBS.c.project_id == bindparam("project_id"), JOBS.c.original_job_id.between(original, original))
        .order_by(JOBS.c.original_job_id)
        .offset(literal_column("0"))
        .subquery("j")
    )
    in_bounds = reruns.c.id < bindparam("before"), reruns.c.id > bindparam("after")
    return select(reruns.c.id).where(*in_bounds).order_by(reruns.c.id.desc()).limit(bindparam("window"))


def walk_label() -> Select[Any]:
    """Walk the jobs that have one label."""
    return (
        select(_LABELS.c.job_id.label("id"))
        .where(_LABELS.c.project_id == bindparam("project_id"))
        .where(_LABELS.c.name == bindparam("label_name"), _LABELS.c.value == bindparam("label_value"))
        .where(_LABELS.c.job_id < bindparam("before"), _LABELS.c.job_id > bindparam("after"))
        .order_by(_LABELS.c.job_id.desc())
        .limit(bindparam("window"))
    )


def walk_states() -> Select[Any]:
    """Walk the jobs of each of some states, and merge the walks.

    State and id are compared and ordered as a pair. Ordered by the id alone, the planner takes the primary key while
    there are no statistics, and passes by every job of other states (measured: all 14,000 of them, for each state).
    The condition on the state alone tells that it is not null, as the index demands.
    """
    states = unnested("s", state="states")
    place = tuple_(JOBS.c.state, JOBS.c.id)
    walked = (
        select(JOBS.c.id)
        .where(JOBS.c.project_id == bindparam("project_id"), JOBS.c.state >= states.c.state)
        .where(place < tuple_(states.c.state, bindparam("before")), place > tuple_(states.c.state, bindparam("after")))
        .order_by(JOBS.c.state.desc(), JOBS.c.id.desc())
        .limit(bindparam("window"))
        .lateral("c")
    )
    merged = select(walked.c.id).select_from(states.join(walked, true()))
    return merged.order_by(walked.c.id.desc()).limit(bindparam("window"))


def _unless_null(name: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(bindparam(name).is_(None), condition)


def _conditions(jobs: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a filter; each is true where its parameter is null."""
    return (
        _unless_null("states", jobs.c.state == any_(bindparam("states"))),
        _unless_null("types", jobs.c.type == any_(bindparam("types"))),
        _unless_null("types_except", jobs.c.type != all_(bindparam("types_except"))),
        _unless_null("queues", jobs.c.queue == any_(bindparam("queues"))),
        or_(
            bindparam("collection").is_(None),
            jobs.c.collection == bindparam("collection"),
            and_(bindparam("or_no_collection"), jobs.c.collection.is_(None)),
        ),
        _unless_null("created_after", jobs.c.created_at >= bindparam("created_after")),
        _unless_null("created_before", jobs.c.created_at < bindparam("created_before")),
        _unless_null("original_job_id", jobs.c.original_job_id == bindparam("original_job_id")),
    )


def _has_all(jobs: FromClause, labels: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job has all these labels, rows of `name` and `value`."""
    label = (
        select(_LABELS.c.value)
        .where(
            _LABELS.c.project_id == jobs.c.project_id, _LABELS.c.job_id == jobs.c.id, _LABELS.c.name == labels.c.name
        )
        .order_by(_LABELS.c.name)
        .correlate(jobs, labels)
        .lateral("l")
    )
    # Counts, because the planner would turn NOT EXISTS into a hash of all labels there are.
    found = select(func.count()).join_from(labels, label, true()).where(label.c.value == labels.c.value)
    number = select(func.count()).select_from(labels)
    return found.correlate(jobs).scalar_subquery() == number.scalar_subquery()


def paged(walk: Select[Any], labels: TableValuedAlias | None) -> tuple[CTE, Subquery]:
    """Build the ids of the jobs that are shown, and the totals of the page."""
    walked = walk.cte("w").prefix_with("MATERIALIZED")
    # OFFSET 0 keeps the conditions out of the look-up, or the planner may choose an index of one of them for it.
    looked_up = (
        select(JOBS)
        .where(JOBS.c.project_id == bindparam("project_id"), JOBS.c.id == walked.c.id)
        .offset(literal_column("0"))
        .lateral("j")
    )
    fits = (
        select(looked_up.c.id)
        .join_from(walked, looked_up, true())
        .where(*_conditions(looked_up), *([] if labels is None else [_has_all(looked_up, labels)]))
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
    return shown, page
