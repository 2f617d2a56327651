"""Managing projects."""

from datetime import datetime
from uuid import UUID

from app.core import audit
from app.core.batches.idempotency import load, store
from app.core.key_admin import next_before
from app.db import projects
from app.db.connection import Connection
from app.db.engine import Database
from app.domain.audit import Actor
from app.domain.errors import NotFoundError
from app.domain.idempotency import Idempotency
from app.domain.ids import new_id
from app.domain.principal import Project


class Projects:
    """Creates and lists projects, the tenants. A project cannot be deleted: nothing could delete all its rows yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Actor, name: str, *, idempotency: Idempotency | None = None) -> tuple[Project, bool]:
        """Create a project; returns it, and whether an earlier call had created it. Names need not be unique."""
        return await self._database.slow(actor.principal.project_id).write(
            _create_project, actor, new_id(), name, idempotency
        )

    async def get(self, project_id: UUID) -> Project:
        """Read one project."""
        project = await self._database.slow(project_id).read(projects.select_project, project_id)
        if project is None:
            raise NotFoundError("There is no such project.")
        return project

    async def page(self, *, before: datetime | None, limit: int) -> tuple[list[Project], datetime | None]:
        """List projects created before a time, newest first, with the `before` of the next page, None at the end."""
        found = await self._database.slow(None).read(projects.select_projects, before=before, limit=limit + 1)
        end = next_before([project.created_at for project in found], limit)
        return [project for project in found if end is None or project.created_at >= end], end


async def _create_project(
    connection: Connection, actor: Actor, project_id: UUID, name: str, idempotency: Idempotency | None
) -> tuple[Project, bool]:
    owner = actor.principal.project_id
    record = await load(connection, owner, idempotency)
    if record is not None:
        existing = await projects.select_project(connection, UUID(record.body))
        if existing is not None:
            return existing, True
    await store(connection, [(owner, idempotency, str(project_id))])
    created = await projects.insert_project(connection, project_id, name)
    audit.record(connection, audit.project_made(actor, created))
    return created, False
