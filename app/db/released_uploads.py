"""Uploads that were replaced, or whose job was deleted: noted there and then, and removed in steps soon after.

A look at all chunks would find them too, and does after six hours. It is too much for every few seconds, and until then
one job could hold a disk of bytes that nobody can reach any more.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import CTE, Select, bindparam, delete, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from app.db import tables, upkeep_tables
from app.db.connection import Connection
from app.db.expressions import at_key
from app.db.inputs import Upload, delete_unused
from app.db.parameters import Values
from app.db.projection import NO_ROWS, Projection
from app.db.statement import CoreStatement
from app.domain.job import JobRef

_INPUTS, _RELEASED = tables.inputs, upkeep_tables.released_uploads
_KEY: Final = ("project_id", "upload_id")

# A rerun has its original's upload, so that one may be released twice.
RELEASE = CoreStatement(
    insert(_RELEASED)
    .from_select(
        _KEY,
        select(_INPUTS.c.project_id, _INPUTS.c.upload_id).where(
            _INPUTS.c.project_id == bindparam("project_id"), _INPUTS.c.job_id == bindparam("job_id")
        ),
    )
    .on_conflict_do_nothing(),
    Values(JobRef),
    NO_ROWS,
)


async def release(connection: Connection, job: JobRef) -> None:
    """Note that a job, which the caller has locked, needs the upload of its input no more."""
    await connection.execute(RELEASE, job)


def released_with(inputs: CTE) -> CTE:
    """Build the part of a statement that notes the uploads of the inputs that it deletes."""
    gone = select(inputs.c.project_id, inputs.c.upload_id).distinct()
    return insert(_RELEASED).from_select(_KEY, gone).on_conflict_do_nothing().cte("released")


def select_released() -> Select[Any]:
    """Find uploads that were released."""
    return select(literal_column("1")).select_from(_RELEASED)


@dataclass(frozen=True, slots=True)
class _AtMost:
    limit: int


_SOME: Final = select(*_RELEASED.primary_key).limit(bindparam("limit")).with_for_update(skip_locked=True).subquery("s")
_TAKEN: Final = Projection(Upload, _RELEASED)
TAKE = CoreStatement(
    delete(_RELEASED)
    .where(at_key(_RELEASED, project_id=_SOME.c.project_id, upload_id=_SOME.c.upload_id))
    .returning(*_TAKEN.elements()),
    Values(_AtMost),
    _TAKEN,
)


async def remove(connection: Connection, limit: int) -> int:
    """Remove released uploads that no other job has; returns how many were looked at."""
    uploads = await connection.fetch(TAKE, _AtMost(limit))
    await delete_unused(connection, uploads)
    return len(uploads)
