"""Projects: the tenants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import Values
from app.db.projection import Projection
from app.db.statement import CoreStatement
from app.domain.principal import Project

_PROJECTS: Final = tables.projects
PROJECT: Final = Projection(Project, _PROJECTS)


@dataclass(frozen=True, slots=True)
class _NewProject:
    id: UUID
    name: str


INSERT = CoreStatement(
    insert(_PROJECTS)
    .values(id=bindparam("id"), name=bindparam("name"), created_at=func.statement_timestamp())
    .returning(*PROJECT.elements()),
    Values(_NewProject),
    PROJECT,
)


async def insert_project(connection: Connection, project_id: UUID, name: str) -> Project:
    """Create a project."""
    return await connection.fetchone(INSERT, _NewProject(project_id, name))


@dataclass(frozen=True, slots=True)
class _Id:
    id: UUID


@dataclass(frozen=True, slots=True)
class _Page:
    before: datetime | None
    limit: int


SELECT = CoreStatement(select(*PROJECT.elements()).where(_PROJECTS.c.id == bindparam("id")), Values(_Id), PROJECT)
SELECT_PAGE = CoreStatement(
    select(*PROJECT.elements())
    .where(or_(bindparam("before").is_(None), _PROJECTS.c.created_at < bindparam("before")))
    .order_by(_PROJECTS.c.created_at.desc())
    .fetch(bindparam("limit"), with_ties=True),
    Values(_Page),
    PROJECT,
)


async def select_project(connection: Connection, project_id: UUID) -> Project | None:
    """Read a project."""
    return await connection.fetchrow(SELECT, _Id(project_id))


async def select_projects(connection: Connection, *, before: datetime | None, limit: int) -> list[Project]:
    """List projects, newest first; more than `limit` if the last ones were created at the same time."""
    return await connection.fetch(SELECT_PAGE, _Page(before, limit))
