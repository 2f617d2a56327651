"""API keys and the projects they belong to."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from app.db.connection import Connection, Row, Statement
from app.db.times import finite
from app.domain.principal import Principal, Project, Scope, StoredKey

SELECT_BY_DIGEST = Statement("""
    SELECT k.project_id, k.id, k.name, k.scopes, k.queues, k.expires_at FROM keys k
    WHERE k.digest = :digest AND k.revoked_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
    LIMIT 1
""")


def _principal(row: Row) -> Principal:
    return Principal(
        project_id=row.project_id,
        key_id=row.id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        queues=None if row.queues is None else frozenset(row.queues),
        expires_at=finite(row.expires_at),
    )


async def select_by_digest(connection: Connection, digest: bytes) -> Principal | None:
    """Find the valid key with this digest. The one look-up without a project: the key is what names it."""
    row = await connection.fetchrow(SELECT_BY_DIGEST, {"digest": digest})
    return None if row is None else _principal(row)


INSERT_PROJECT = Statement("""
    INSERT INTO projects (id, name, created_at) VALUES (:id, :name, statement_timestamp())
    RETURNING id, name, created_at
""")

# A time that has passed makes no key: by the database's clock, which is the one that ends it.
INSERT_KEY = Statement("""
    INSERT INTO keys (project_id, id, name, digest, scopes, queues, created_at, expires_at)
    SELECT CAST(:project_id AS uuid), CAST(:id AS text), CAST(:name AS text), CAST(:digest AS bytea),
           CAST(:scopes AS text[]), CAST(:queues AS text[]), statement_timestamp(), CAST(:expires_at AS timestamptz)
    WHERE CAST(:expires_at AS timestamptz) IS NULL OR CAST(:expires_at AS timestamptz) > statement_timestamp()
    RETURNING project_id, id, name, scopes, queues, created_at, expires_at, revoked_at, last_used_at
""")


async def insert_project(connection: Connection, project_id: UUID, name: str) -> Project:
    """Make a project."""
    return Project(*await connection.fetchone(INSERT_PROJECT, {"id": project_id, "name": name}))


async def insert_key(
    connection: Connection, principal: Principal, digest: bytes, *, expires_at: datetime | None = None
) -> StoredKey | None:
    """Store a key by its digest, never the key itself; None if its end has passed already."""
    row = await connection.fetchrow(
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
    return None if row is None else _stored(row)


def _stored(row: Row) -> StoredKey:
    return StoredKey(
        project_id=row.project_id,
        id=row.id,
        name=row.name,
        scopes=frozenset(Scope(scope) for scope in row.scopes),
        queues=None if row.queues is None else frozenset(row.queues),
        created_at=row.created_at,
        expires_at=finite(row.expires_at),
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


_COLUMNS = "k.project_id, k.id, k.name, k.scopes, k.queues, k.created_at, k.expires_at, k.revoked_at, k.last_used_at"

SELECT_KEY = Statement(f"SELECT {_COLUMNS} FROM keys k WHERE k.project_id = :project_id AND k.id = :id")

# Two keys of one microsecond come on one page, so that the time alone says where the next one begins.
SELECT_KEYS = Statement(f"""
    SELECT {_COLUMNS} FROM keys k
    WHERE k.project_id = :project_id AND (CAST(:before AS timestamptz) IS NULL OR k.created_at < :before)
    ORDER BY k.created_at DESC FETCH FIRST :limit ROWS WITH TIES
""")


async def select_key(connection: Connection, project_id: UUID, key_id: str) -> StoredKey | None:
    """Read one key of a project, whatever became of it."""
    row = await connection.fetchrow(SELECT_KEY, {"project_id": project_id, "id": key_id})
    return None if row is None else _stored(row)


async def select_keys(
    connection: Connection, project_id: UUID, *, before: datetime | None, limit: int
) -> list[StoredKey]:
    """List keys of a project, newest first; more than `limit` where the last ones were made at the same moment."""
    rows = await connection.fetch(SELECT_KEYS, {"project_id": project_id, "before": before, "limit": limit})
    return [_stored(row) for row in rows]


REVOKE = Statement(f"""
    UPDATE keys k SET revoked_at = statement_timestamp()
    WHERE k.project_id = :project_id AND k.id = :id AND k.revoked_at IS NULL
    RETURNING {_COLUMNS}
""")

SET_EXPIRY = Statement(f"""
    UPDATE keys k SET expires_at = :expires_at WHERE k.project_id = :project_id AND k.id = :id AND k.revoked_at IS NULL
    RETURNING {_COLUMNS}
""")


async def revoke(connection: Connection, project_id: UUID, key_id: str) -> StoredKey | None:
    """End a key for good; None for one that was revoked before, which keeps its moment."""
    row = await connection.fetchrow(REVOKE, {"project_id": project_id, "id": key_id})
    return None if row is None else _stored(row)


async def set_expiry(
    connection: Connection, project_id: UUID, key_id: str, expires_at: datetime | None
) -> StoredKey | None:
    """Set when a key ends; None if it was revoked."""
    values = {"project_id": project_id, "id": key_id, "expires_at": expires_at}
    row = await connection.fetchrow(SET_EXPIRY, values)
    return None if row is None else _stored(row)


# All projects' keys: whoever administers the service belongs to one of them and rules over all.
SELECT_IS_LAST_OPERATOR = Statement("""
    SELECT EXISTS (
        SELECT FROM keys k
        WHERE k.project_id = :project_id AND k.id = :id AND 'operator' = ANY(k.scopes) AND k.revoked_at IS NULL
          AND (k.expires_at IS NULL OR k.expires_at > statement_timestamp())
          AND NOT EXISTS (
              SELECT FROM keys o
              WHERE 'operator' = ANY(o.scopes) AND o.revoked_at IS NULL
                AND NOT (o.project_id = k.project_id AND o.id = k.id)
                AND (o.expires_at IS NULL OR (k.expires_at IS NOT NULL AND o.expires_at > statement_timestamp()))
          )
    )
""")


async def is_last_operator(connection: Connection, project_id: UUID, key_id: str) -> bool:
    """Whether no other key could administer the service for as long as this one can; call under `lock_keys`."""
    return bool(await connection.fetchval(SELECT_IS_LAST_OPERATOR, {"project_id": project_id, "id": key_id}))


# Locked in the order of their ids: two processes that saw the same keys would otherwise deadlock.
MARK_USED = Statement("""
    WITH used AS (
        SELECT k.project_id, k.id
        FROM unnest(CAST(:project_ids AS uuid[]), CAST(:ids AS text[])) AS i (project_id, id)
        JOIN keys k ON k.project_id = i.project_id AND k.id = i.id
        ORDER BY k.project_id, k.id FOR UPDATE OF k
    )
    UPDATE keys k SET last_used_at = statement_timestamp() FROM used u
    WHERE k.project_id = u.project_id AND k.id = u.id
""")


async def mark_used(connection: Connection, used: Collection[tuple[UUID, str]]) -> None:
    """Note that these keys were used just now."""
    values = {"project_ids": [project_id for project_id, _ in used], "ids": [key_id for _, key_id in used]}
    await connection.execute(MARK_USED, values)


SELECT_PROJECT = Statement("SELECT p.id, p.name, p.created_at FROM projects p WHERE p.id = :id")

SELECT_PROJECTS = Statement("""
    SELECT p.id, p.name, p.created_at FROM projects p
    WHERE CAST(:before AS timestamptz) IS NULL OR p.created_at < :before
    ORDER BY p.created_at DESC FETCH FIRST :limit ROWS WITH TIES
""")


async def select_project(connection: Connection, project_id: UUID) -> Project | None:
    """Read a project."""
    row = await connection.fetchrow(SELECT_PROJECT, {"id": project_id})
    return None if row is None else Project(*row)


async def select_projects(connection: Connection, *, before: datetime | None, limit: int) -> list[Project]:
    """List projects, newest first; more than `limit` where the last ones were made at the same moment."""
    rows = await connection.fetch(SELECT_PROJECTS, {"before": before, "limit": limit})
    return [Project(*row) for row in rows]


ANY_KEY = Statement("SELECT EXISTS (SELECT FROM keys)")
LOCK = Statement("LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE")


async def any_key(connection: Connection) -> bool:
    """Say whether this database has ever had a key: only an empty one gets a first key."""
    return bool(await connection.fetchval(ANY_KEY))


async def lock_keys(connection: Connection) -> None:
    """Let one process at a time make the first key: two that start on an empty database would each make one."""
    await connection.execute(LOCK)
