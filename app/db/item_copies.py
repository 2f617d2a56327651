"""Copies of items: a rerun gets those of its original in steps, along their positions."""

from dataclasses import dataclass, replace
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.lookups import lookup, state_among, target_by_key
from app.db.parameters import NOTHING, Values
from app.db.projection import Projection, Value
from app.db.statement import Statement
from app.domain.item import ItemStatus
from app.domain.job import JobRef
from app.domain.states import LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemCopy:
    """How far the copy of a job's items to a rerun has come."""

    project_id: UUID
    job_id: UUID
    """The rerun."""
    original_job_id: UUID
    only_failed: bool
    error_codes: frozenset[str] | None = None
    """Of the failed ones those with one of these alone."""
    last_position: int
    """How many items the original has: positions count from one without a gap."""
    position: int = 0
    """Those up to here were examined."""
    copied: int = 0

    @property
    def ref(self) -> JobRef:
        """The rerun and its project."""
        return JobRef(self.project_id, self.job_id)


@dataclass(frozen=True, slots=True)
class _Step:
    copy: ItemCopy
    window: int
    limit: int


@dataclass(frozen=True, slots=True)
class _Stepped:
    copied: int
    last_position: int


# Bounded twice: by the items that are written, and by those that are examined for the failed ones among them.
COPY = Statement(
    f"""
    WITH chosen AS MATERIALIZED (
        SELECT t.position, t.key, t.name, t.uri, t.size_bytes FROM items t
        WHERE t.project_id = :copy_project_id AND t.job_id = :copy_original_job_id
          AND t.position > :copy_position AND t.position <= least(:copy_position + :window, :copy_last_position)
          AND (NOT :copy_only_failed OR t.status = '{ItemStatus.FAILED}')
          AND (:copy_error_codes IS NULL OR t.error_code = ANY (:copy_error_codes))
        ORDER BY t.position LIMIT :limit
    ), added AS (
        INSERT INTO items (project_id, job_id, position, key, name, uri, size_bytes, status, updated_at)
        SELECT :copy_project_id, :copy_job_id, :copy_copied + row_number() OVER (ORDER BY t.position), t.key, t.name,
               t.uri, t.size_bytes, 'queued', statement_timestamp()
        FROM chosen t
    )
    SELECT :returned FROM (SELECT count(*) AS copied, coalesce(max(t.position), 0) AS last_position FROM chosen t) c
    """,
    Values(_Step),
    Projection(_Stepped, "c"),
)


async def copy_some(connection: Connection, copy: ItemCopy, *, window: int, limit: int) -> ItemCopy:
    """Copy up to `limit` items, all queued, of the next `window` of the original; returns how far the copy is now."""
    stepped = await connection.fetchone(COPY, _Step(copy, window, limit))
    examined = stepped.last_position if stepped.copied == limit else copy.position + window
    return replace(copy, position=min(examined, copy.last_position), copied=copy.copied + stepped.copied)


@dataclass(frozen=True, slots=True)
class _Begun:
    copy: ItemCopy
    total: int


BEGIN = Statement(
    f"""
    WITH held_back AS (
        UPDATE jobs j SET items_total = :total, copying = true
        WHERE {target_by_key("j", project_id=":copy_project_id", id=":copy_job_id")}
    )
    INSERT INTO item_copies (project_id, job_id, original_job_id, only_failed, error_codes, position,
                             last_position, copied, stepped_at)
    VALUES (:copy_project_id, :copy_job_id, :copy_original_job_id, :copy_only_failed, :copy_error_codes,
            :copy_position, :copy_last_position, :copy_copied, statement_timestamp())
    """,
    Values(_Begun),
)


async def begin(connection: Connection, copy: ItemCopy, total: int) -> None:
    """Leave the rest of a copy to maintenance, hold back the rerun until then, and write how many items it will have.

    For the transaction that creates the rerun.
    """
    await connection.execute(BEGIN, _Begun(copy, total))


ANY = Statement("SELECT :returned", returns=Value(bool, "EXISTS (SELECT FROM item_copies)"))


async def select_any(connection: Connection) -> bool:
    """Whether anything is being copied."""
    return await connection.fetchone(ANY, None)


@dataclass(frozen=True, slots=True)
class Next:
    """A copy to continue."""

    copy: ItemCopy
    live: bool
    """Whether the rerun is there and has not ended."""


# In turns, so that a large copy does not hold up a small one. SKIP LOCKED: each process takes one of its own.
NEXT = Statement(
    "SELECT :returned FROM item_copies c ORDER BY c.stepped_at LIMIT 1 FOR UPDATE OF c SKIP LOCKED",
    NOTHING,
    Projection(
        Next,
        columns={
            "copy": Projection(ItemCopy, tables.item_copies.alias("c")),
            "live": f"""EXISTS (
                SELECT FROM {lookup("jobs", "j", project_id="c.project_id", id="c.job_id")} WHERE {state_among(LIVE)}
            )""",
        },
    ),
)


async def select_next(connection: Connection) -> Next | None:
    """Lock the copy that has waited longest, of those that no other process is at."""
    return await connection.fetchrow(NEXT, None)


@dataclass(frozen=True, slots=True)
class _Advance:
    project_id: UUID
    job_id: UUID
    position: int
    copied: int


ADVANCE = Statement(
    """
    UPDATE item_copies SET position = :position, copied = :copied, stepped_at = statement_timestamp()
    WHERE project_id = :project_id AND job_id = :job_id
    """,
    Values(_Advance),
)


async def advance(connection: Connection, copy: ItemCopy) -> None:
    """Store how far a copy is now. It is continued when the others have had their turn."""
    await connection.execute(ADVANCE, _Advance(*copy.ref, copy.position, copy.copied))


END = Statement("DELETE FROM item_copies WHERE project_id = :project_id AND job_id = :job_id", Values(JobRef))


async def end(connection: Connection, copy: ItemCopy) -> None:
    """Copy no more."""
    await connection.execute(END, copy.ref)


@dataclass(frozen=True, slots=True)
class Released:
    """A rerun that claims may take from now on."""

    queue: str
    type: str
    engine: str | None


@dataclass(frozen=True, slots=True)
class _Release:
    project_id: UUID
    job_id: UUID
    copied: int


# Its number of items is what it was created with, unless the original's own count was wrong.
RELEASE = Statement(
    f"""
    UPDATE jobs j SET copying = false, items_total = :copied,
        version = j.version + CASE WHEN j.items_total <> :copied THEN 1 ELSE 0 END
    WHERE {target_by_key("j", project_id=":project_id", id=":job_id")}
    RETURNING :returned
    """,
    Values(_Release),
    Projection(Released, tables.jobs.alias("j")),
)


async def release(connection: Connection, copy: ItemCopy) -> Released:
    """Hold back a rerun no longer: all its items are there. The caller has locked it."""
    return await connection.fetchone(RELEASE, _Release(*copy.ref, copy.copied))


@dataclass(frozen=True, slots=True)
class _ItemsTotal:
    project_id: UUID
    job_id: UUID
    total: int


SET_ITEMS_TOTAL = Statement(
    "UPDATE jobs SET items_total = :total WHERE project_id = :project_id AND id = :job_id", Values(_ItemsTotal)
)


async def set_items_total(connection: Connection, key: JobRef, total: int) -> None:
    """Write how many items a job has, when they were copied to it in the transaction that created it."""
    await connection.execute(SET_ITEMS_TOTAL, _ItemsTotal(*key, total))
