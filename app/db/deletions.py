"""Deleting jobs: the row that all readers join on goes at once, everything else in steps.

A job may have a million items. Its deletion takes one short transaction all the same: without its row in `jobs` no
reader finds any of it, and `deletions` remembers what is left to remove.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Delete,
    FromClause,
    Table,
    bindparam,
    exists,
    func,
    select,
    true,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.aged import kept_no_longer
from app.db.connection import Connection
from app.db.expressions import at_key, state_among
from app.db.inputs import select_ended_sensitive
from app.db.parameters import Batch, Values
from app.db.projection import NO_ROWS, Projection
from app.db.released_uploads import released_with, select_released
from app.db.repairs import BEGUN
from app.db.statement import CoreStatement
from app.domain.job import JobRef
from app.domain.states import TERMINAL

_JOBS, _DELETIONS, _RECORDS = tables.jobs, tables.deletions, tables.idempotency_records
_COPIES: Final = tables.item_copies
_NOW: Final = func.statement_timestamp()
_REFS: Final = Batch(JobRef)
_ROWS: Final = _REFS.rows_of()
_DELETED: Final = Projection(JobRef, _DELETIONS)
_GONE: Final = (
    delete_from(_JOBS)
    .where(at_key(_JOBS, project_id=_ROWS.c.project_id, id=_ROWS.c.job_id), state_among(_JOBS.c.state, TERMINAL))
    .returning(_JOBS.c.project_id, _JOBS.c.id)
    .cte("gone")
)


def _of_gone(table: Table) -> Delete:
    return delete_from(table).where(at_key(table, project_id=_GONE.c.project_id, job_id=_GONE.c.id))


_INPUTS_GONE: Final = _of_gone(tables.inputs).returning(tables.inputs.c.project_id, tables.inputs.c.upload_id)
_WITHOUT_INPUT: Final = _INPUTS_GONE.cte("without_input")
DELETE = CoreStatement(
    insert(_DELETIONS)
    .from_select(["project_id", "job_id", "deleted_at"], select(_GONE.c.project_id, _GONE.c.id, _NOW))
    .add_cte(_of_gone(tables.job_labels).cte("unlabelled"), _WITHOUT_INPUT, released_with(_WITHOUT_INPUT))
    .returning(*_DELETED.elements()),
    _REFS,
    _DELETED,
)


async def delete(connection: Connection, keys: Sequence[JobRef]) -> list[JobRef]:
    """Delete those of these jobs that have ended; returns them. The caller has locked them in order."""
    return await connection.fetch(DELETE, keys)


@dataclass(frozen=True, slots=True)
class _AtMost:
    limit: int


@dataclass(frozen=True, slots=True)
class _AtMostOf:
    jobs: Sequence[JobRef]
    limit: int


def _same_row(table: Table, other: FromClause) -> ColumnElement[bool]:
    return at_key(table, **{column.name: column for column in other.c})


def _prune_some(table: Table, *columns: str) -> CoreStatement[_AtMostOf, None]:
    """Delete some of the rows that these jobs have in a table of many rows a job, which `columns` tell apart."""
    takes = Values(_AtMostOf)
    jobs, rows = takes.rows_of("jobs"), table.alias("t")
    of_job = (
        select(*(rows.c[name] for name in ("project_id", "job_id", *columns)))
        .where(rows.c.project_id == jobs.c.project_id, rows.c.job_id == jobs.c.job_id)
        .order_by(rows.c[columns[0]])
        .lateral("m")
    )
    some = select(*of_job.c).join_from(jobs, of_job, true()).limit(bindparam("limit")).subquery("d")
    return CoreStatement(delete_from(table).where(_same_row(table, some)), takes, NO_ROWS)


def _prune_all(table: Table) -> CoreStatement[Sequence[JobRef], None]:
    """Delete the rows that these jobs have in a table of one row a job."""
    of_jobs = at_key(table, project_id=_ROWS.c.project_id, job_id=_ROWS.c.job_id)
    return CoreStatement(delete_from(table).where(of_jobs), _REFS, NO_ROWS)


# SKIP LOCKED: no process waits for a row that another one is removing. What a rerun is still copied from is kept: its
# row in `item_copies` is committed before the original can be deleted, which waits for the lock of the call.
NEXT = CoreStatement(
    select(*_DELETED.elements())
    .where(
        ~exists().where(
            _COPIES.c.project_id == _DELETIONS.c.project_id, _COPIES.c.original_job_id == _DELETIONS.c.job_id
        )
    )
    .order_by(_DELETIONS.c.project_id, _DELETIONS.c.job_id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True),
    Values(_AtMost),
    _DELETED,
)
PRUNE_SOME = [
    _prune_some(tables.items, "key"),
    # All columns of the feed's index too; otherwise the planner may walk that one instead of the primary key.
    _prune_some(tables.events, "id", "xid"),
    _prune_some(tables.job_logs, "line"),
]
PRUNE_ALL = [
    _prune_all(table) for table in (tables.payloads, tables.results, tables.checkpoints, tables.runs, _DELETIONS)
]


async def prune(connection: Connection, *, jobs: int, rows: int) -> int:
    """Remove up to `rows` rows of each kind of up to `jobs` deleted jobs; returns how many deletions were examined."""
    found = await connection.fetch(NEXT, _AtMost(jobs))
    if not found:
        return 0
    left = False
    for statement in PRUNE_SOME:
        removed = await connection.execute(statement, _AtMostOf(found, rows))
        left = left or removed >= rows
    if not left:
        for remove_all in PRUNE_ALL:
            await connection.execute(remove_all, found)
    return len(found)


@dataclass(frozen=True, slots=True)
class _OlderThan:
    age: timedelta


@dataclass(frozen=True, slots=True)
class _SomeOlderThan:
    age: timedelta
    limit: int


_IS_OLD: Final = _RECORDS.c.created_at < _NOW - bindparam("age")
_OLD: Final = (
    select(*_RECORDS.primary_key)
    .where(_IS_OLD)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    .subquery("o")
)
OLD_RECORDS = CoreStatement(
    delete_from(_RECORDS).where(_same_row(_RECORDS, _OLD)),
    Values(_SomeOlderThan),
    NO_ROWS,
)


async def prune_idempotency(connection: Connection, *, age: timedelta, limit: int) -> int:
    """Delete old idempotency records; returns how many."""
    return await connection.execute(OLD_RECORDS, _SomeOlderThan(age, limit))


@dataclass(frozen=True, slots=True)
class Anything:
    """The kinds of rows of which some are to be removed or repaired."""

    deleted: bool
    aged: bool
    keys: bool
    inputs: bool
    released: bool
    repairs: bool


_ANYTHING: Final = Projection(
    Anything,
    columns={
        "deleted": exists().select_from(_DELETIONS),
        "aged": f"EXISTS ({kept_no_longer('1')})",
        "keys": exists().where(_IS_OLD),
        "inputs": select_ended_sensitive().exists(),
        "released": select_released().exists(),
        "repairs": BEGUN.exists(),
    },
)
# One statement for all kinds: it is asked every few seconds by every process, and nearly always there is nothing.
ANYTHING = CoreStatement(select(*_ANYTHING.elements()), Values(_OlderThan), _ANYTHING)


async def select_anything(connection: Connection, *, age: timedelta) -> Anything:
    """Return what there is to remove or to repair; `age` is how long idempotency records are kept."""
    return await connection.fetchone(ANYTHING, _OlderThan(age))
