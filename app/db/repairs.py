"""One-time repairs of stored jobs: a walk over all of them, in steps that any process may take.

Versions before this one stored the last second of the year 9999 as the deadline of jobs that have none, ended ones
among them, and `infinity` where a client sent the last moment there is. No index leads to those rows, and one on the
largest table, for something to be done once, would cost every job to come a little. So the walk goes along the primary
key, and `repairs` remembers how far it has come: when the row is gone, nothing is left to look for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, bindparam, delete, func, literal_column, select, tuple_, update

from app.db import tables
from app.db.connection import Connection
from app.db.expressions import at_key
from app.db.parameters import NOTHING, Batch, Values
from app.db.projection import NO_ROWS, Projection
from app.db.statement import CoreStatement
from app.db.times import END
from app.domain.job import JobRef

_REPAIRS, _JOBS = tables.repairs, tables.jobs
_HAS_BEGUN: Final = _REPAIRS.c.begins_at <= func.statement_timestamp()
_IS_ENDLESS: Final = _JOBS.c.expires_at >= literal_column(END)
BEGUN: Final[Select[Any]] = select(literal_column("1")).select_from(_REPAIRS).where(_HAS_BEGUN)
"""Selects a row where a walk is to be gone on with."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A walk in progress, and the last job that it has seen."""

    name: str
    after: JobRef


_REPAIR: Final = Projection(Repair, _REPAIRS, {"after": Projection(JobRef, _REPAIRS)})
# SKIP LOCKED: one process at a time takes the next step, and no other waits for it.
NEXT = CoreStatement(
    select(*_REPAIR.elements())
    .where(_HAS_BEGUN)
    .order_by(_REPAIRS.c.begins_at, _REPAIRS.c.name)
    .limit(literal_column("1"))
    .with_for_update(skip_locked=True),
    NOTHING,
    _REPAIR,
)


async def select_next(connection: Connection) -> Repair | None:
    """Lock the walk to continue; None if there is none, or another process has it."""
    return await connection.fetchrow(NEXT, None)


@dataclass(frozen=True, slots=True)
class Seen:
    """The jobs of a step whose deadline means none, and the last job of the step; None at the end."""

    endless: list[JobRef]
    last: JobRef | None


@dataclass(frozen=True, slots=True)
class _Step:
    project_id: UUID
    job_id: UUID
    limit: int


@dataclass(frozen=True, slots=True)
class _SeenJob:
    ref: JobRef
    endless: bool | None


_REF: Final = Projection(JobRef, _JOBS, {"job_id": _JOBS.c.id})
_SEEN: Final = Projection(_SeenJob, columns={"ref": _REF, "endless": _IS_ENDLESS})
JOBS = CoreStatement(
    select(*_SEEN.elements())
    .where(
        tuple_(_JOBS.c.project_id, _JOBS.c.id)
        > tuple_(bindparam("project_id", type_=_JOBS.c.project_id.type), bindparam("job_id", type_=_JOBS.c.id.type))
    )
    .order_by(_JOBS.c.project_id, _JOBS.c.id)
    .limit(bindparam("limit")),
    Values(_Step),
    _SEEN,
)


async def select_jobs(connection: Connection, repair: Repair, limit: int) -> Seen:
    """Read the next jobs of a walk."""
    seen = await connection.fetch(JOBS, _Step(*repair.after, limit))
    return Seen([job.ref for job in seen if job.endless], seen[-1].ref if seen else None)


_REFS: Final = Batch(JobRef)
_ROWS: Final = _REFS.rows_of()
# A new version, so that no cache keeps the old body; `updated_at` stays, because nothing happened to the job.
MEND = CoreStatement(
    update(_JOBS)
    .values(expires_at=None, version=_JOBS.c.version + literal_column("1"))
    .where(at_key(_JOBS, project_id=_ROWS.c.project_id, id=_ROWS.c.job_id), _IS_ENDLESS)
    .returning(*_REF.elements()),
    _REFS,
    _REF,
)


async def mend_deadlines(connection: Connection, refs: Sequence[JobRef]) -> list[JobRef]:
    """Remove the deadlines of these jobs that stand for none; returns the jobs, which the caller has locked."""
    return await connection.fetch(MEND, refs)


@dataclass(frozen=True, slots=True)
class _Progress:
    name: str
    project_id: UUID
    job_id: UUID


ADVANCE = CoreStatement(
    update(_REPAIRS)
    .values(project_id=bindparam("project_id"), job_id=bindparam("job_id"))
    .where(_REPAIRS.c.name == bindparam("name")),
    Values(_Progress),
    NO_ROWS,
)


async def advance(connection: Connection, repair: Repair, last: JobRef) -> None:
    """Store how far a walk has come."""
    await connection.execute(ADVANCE, _Progress(repair.name, *last))


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


FINISH = CoreStatement(delete(_REPAIRS).where(_REPAIRS.c.name == bindparam("name")), Values(_Name), NO_ROWS)


async def finish(connection: Connection, repair: Repair) -> None:
    """Store that a walk has seen every job."""
    await connection.execute(FINISH, _Name(repair.name))
