"""API keys and the projects they belong to."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.principal import Principal, Scope

SELECT_BY_DIGEST = text("""
    SELECT k.project_id, k.id, k.name, k.scopes, k.queues, k.expires_at FROM keys k
    WHERE k.digest = :digest AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
    LIMIT 1
""")


def _principal(row: Row[Any]) -> Principal:
    return Principal(
        project_id=row.project_id,
        key_id=row.id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        queues=None if row.queues is None else frozenset(row.queues),
        expires_at=row.expires_at,
    )


async def select_by_digest(connection: AsyncConnection, digest: bytes) -> Principal | None:
    """Find the valid key with this digest. The one look-up without a project: the key is what names it."""
    row = (await connection.execute(SELECT_BY_DIGEST, {"digest": digest})).one_or_none()
    return None if row is None else _principal(row)


INSERT_PROJECT = text("""
    INSERT INTO projects (id, name, created_at) VALUES (:id, :name, statement_timestamp()) ON CONFLICT DO NOTHING
""")

INSERT_KEY = text("""
    INSERT INTO keys (project_id, id, name, digest, scopes, queues, created_at, expires_at)
    VALUES (:project_id, :id, :name, :digest, :scopes, :queues, statement_timestamp(), :expires_at)
""")


async def insert_project(connection: AsyncConnection, project_id: UUID, name: str) -> None:
    """Make a project, unless it is there."""
    await connection.execute(INSERT_PROJECT, {"id": project_id, "name": name})


async def insert_key(
    connection: AsyncConnection, principal: Principal, digest: bytes, *, expires_at: datetime | None = None
) -> None:
    """Store a key by its digest; the key itself is never stored."""
    await connection.execute(
        INSERT_KEY,
        {
            "project_id": principal.project_id,
            "id": principal.key_id,
            "name": principal.name,
            "digest": digest,
            "scopes": sorted(principal.scopes),
            "queues": None if principal.queues is None else sorted(principal.queues),
            "expires_at": expires_at,
        },
    )


async def any_key(connection: AsyncConnection) -> bool:
    """Say whether this database has ever had a key: only an empty one gets a first key."""
    return bool((await connection.execute(text("SELECT EXISTS (SELECT FROM keys)"))).scalar_one())


async def lock_keys(connection: AsyncConnection) -> None:
    """Let one process at a time make the first key: two that start on an empty database would each make one."""
    await connection.execute(text("LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE"))
