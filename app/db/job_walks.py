"""The indexes that lists of jobs walk along, newest job first, and the conditions that a job is then judged by."""

from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, all_, and_, any_, bindparam, func, or_, select, true

from app.db import tables
from app.db.expressions import unnested
from app.db.jobs import JOBS

_LABELS: Final = tables.job_labels.alias("l")


def walk_jobs(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Walk the jobs that fit conditions which their index knows."""
    return (
        select(JOBS.c.id)
        .where(JOBS.c.project_id == bindparam("project_id"))
        .where(JOBS.c.id < bindparam("before"), JOBS.c.id > bindparam("after"), *conditions)
        .order_by(JOBS.c.id.desc())
        .limit(bindparam("window"))
    )


def walk_reruns() -> Select[Any]:
    """Walk the reruns of one job."""
    return walk_jobs(JOBS.c.original_job_id == bindparam("original_job_id"))


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
    """Walk the jobs of each of some states, and merge the walks."""
    states = unnested("s", state="states")
    walked = walk_jobs(JOBS.c.state == states.c.state).lateral("c")
    merged = select(walked.c.id).select_from(states.join(walked, true()))
    return merged.order_by(walked.c.id.desc()).limit(bindparam("window"))


def _unless_null(name: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(bindparam(name).is_(None), condition)


FITS: Final = (
    _unless_null("states", JOBS.c.state == any_(bindparam("states"))),
    _unless_null("types", JOBS.c.type == any_(bindparam("types"))),
    _unless_null("types_except", JOBS.c.type != all_(bindparam("types_except"))),
    _unless_null("queues", JOBS.c.queue == any_(bindparam("queues"))),
    or_(
        bindparam("collection").is_(None),
        JOBS.c.collection == bindparam("collection"),
        and_(bindparam("or_no_collection"), JOBS.c.collection.is_(None)),
    ),
    _unless_null("created_after", JOBS.c.created_at >= bindparam("created_after")),
    _unless_null("created_before", JOBS.c.created_at < bindparam("created_before")),
    _unless_null("original_job_id", JOBS.c.original_job_id == bindparam("original_job_id")),
)
"""The conditions of a filter, each of which asks for nothing where its parameter is null."""


def has_all(labels: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job has all these labels, rows of `name` and `value`."""
    of_job = and_(_LABELS.c.project_id == JOBS.c.project_id, _LABELS.c.job_id == JOBS.c.id)
    # Counts, because the planner would turn NOT EXISTS into a hash of all labels there are.
    found = select(func.count()).join_from(labels, _LABELS, and_(of_job, _LABELS.c.name == labels.c.name))
    number = select(func.count()).select_from(labels)
    return found.where(_LABELS.c.value == labels.c.value).scalar_subquery() == number.scalar_subquery()
