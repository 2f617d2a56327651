"""The items that several jobs have under one key."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db import tables
from app.db.connection import Connection
from app.db.item_pages import ITEM
from app.db.lookups import lookup
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import Statement
from app.domain.item import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyOfJobs:
    project_id: UUID
    job_ids: Sequence[UUID]
    key: str


@dataclass(frozen=True, slots=True)
class _ItemOfJob:
    job_id: UUID
    item: Item


BY_KEY = Statement(
    f"""
    SELECT :returned FROM unnest(:job_ids) AS a (id)
    CROSS JOIN {lookup("jobs", "j", project_id=":project_id", id="a.id")}
    CROSS JOIN {lookup("items", "t", project_id="j.project_id", job_id="j.id", key=":key")}
    ORDER BY j.id DESC
    """,
    Values(_KeyOfJobs),
    Projection(_ItemOfJob, columns={"job_id": tables.jobs.alias("j").c.id, "item": ITEM}),
)


async def select_by_key(
    connection: Connection, project_id: UUID, job_ids: Sequence[UUID], key: str
) -> dict[UUID, Item]:
    """Read the item that these jobs have under a key, by job, newest job first; jobs without it are left out."""
    rows = await connection.fetch(BY_KEY, _KeyOfJobs(project_id=project_id, job_ids=job_ids, key=key))
    return {row.job_id: row.item for row in rows}
