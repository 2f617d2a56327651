"""API keys as they are managed. The projects that they belong to are in `projects`, and checks in `key_lookups`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, and_, any_, bindparam, exists, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db import tables
from app.db.connection import Connection
from app.db.parameters import NOTHING, Batch, Values
from app.db.projection import NO_ROWS, Projection, Value, reading
from app.db.statement import CoreStatement, Statement
from app.db.times import finite
from app.domain.principal import Principal, Scope, StoredKey

_K: Final = tables.keys.alias("k")
_KEYS: Final = tables.keys
_NOW: Final = func.statement_timestamp()


KEY: Final = Projection(StoredKey, _KEYS, {"expires_at": reading(_KEYS.c.expires_at, finite)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewKey:
    project_id: UUID
    id: str
    name: str
    digest: bytes
    scopes: Sequence[Scope]
    queues: Sequence[str] | None
    expires_at: datetime | None


_NEW_KEY: Final = Values(_NewKey)
# No key with an expiry in the past, by the database's clock, which is the one that expires keys.
INSERT = CoreStatement(
    insert(_KEYS)
    .from_select(
        [*(p.name for p in _NEW_KEY.parameters), "created_at"],
        select(*(bindparam(p.name) for p in _NEW_KEY.parameters), _NOW).where(
            or_(bindparam("expires_at").is_(None), bindparam("expires_at") > _NOW)
        ),
    )
    .returning(*KEY.elements()),
    _NEW_KEY,
    KEY,
)


async def insert_key(
    connection: Connection, principal: Principal, digest: bytes, *, expires_at: datetime | None = None
) -> StoredKey | None:
    """Store a key by its digest, never the key itself; None if its end has passed already."""
    key = _NewKey(
        project_id=principal.project_id,
        id=principal.key_id,
        name=principal.name,
        digest=digest,
        scopes=sorted(principal.scopes),
        queues=None if principal.queues is None else sorted(principal.queues),
        expires_at=expires_at,
    )
    return await connection.fetchrow(INSERT, key)


class _KeyRef(NamedTuple):
    project_id: UUID
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _PageOfKeys:
    project_id: UUID
    before: datetime | None
    limit: int


_REFERRED: Final = and_(_KEYS.c.project_id == bindparam("project_id"), _KEYS.c.id == bindparam("id"))
SELECT = CoreStatement(select(*KEY.elements()).where(_REFERRED), Values(_KeyRef), KEY)
# Keys created in the same microsecond are on one page, so that the time alone is the position of the next one.
SELECT_PAGE = CoreStatement(
    select(*KEY.elements())
    .where(
        _KEYS.c.project_id == bindparam("project_id"),
        or_(bindparam("before").is_(None), _KEYS.c.created_at < bindparam("before")),
    )
    .order_by(_KEYS.c.created_at.desc())
    .fetch(bindparam("limit"), with_ties=True),
    Values(_PageOfKeys),
    KEY,
)


async def select_key(connection: Connection, project_id: UUID, key_id: str) -> StoredKey | None:
    """Read one key of a project, also if it was revoked or has expired."""
    return await connection.fetchrow(SELECT, _KeyRef(project_id, key_id))


async def select_keys(
    connection: Connection, project_id: UUID, *, before: datetime | None, limit: int
) -> list[StoredKey]:
    """List keys of a project, newest first; more than `limit` if the last ones were created at the same time."""
    return await connection.fetch(SELECT_PAGE, _PageOfKeys(project_id=project_id, before=before, limit=limit))


@dataclass(frozen=True, slots=True)
class _Expiry:
    project_id: UUID
    id: str
    expires_at: datetime | None


REVOKE = CoreStatement(
    update(_KEYS).values(revoked_at=_NOW).where(_REFERRED, _KEYS.c.revoked_at.is_(None)).returning(*KEY.elements()),
    Values(_KeyRef),
    KEY,
)
SET_EXPIRY = CoreStatement(
    update(_KEYS)
    .values(expires_at=bindparam("expires_at"))
    .where(_REFERRED, _KEYS.c.revoked_at.is_(None))
    .returning(*KEY.elements()),
    Values(_Expiry),
    KEY,
)


async def revoke(connection: Connection, project_id: UUID, key_id: str) -> StoredKey | None:
    """Revoke a key; None for one that was revoked before, which keeps its time."""
    return await connection.fetchrow(REVOKE, _KeyRef(project_id, key_id))


async def set_expiry(
    connection: Connection, project_id: UUID, key_id: str, expires_at: datetime | None
) -> StoredKey | None:
    """Set when a key ends; None if it was revoked."""
    return await connection.fetchrow(SET_EXPIRY, _Expiry(project_id, key_id, expires_at))


_OTHER: Final = tables.keys.alias("o")


def _operates(key: FromClause) -> ColumnElement[bool]:
    return and_(any_(key.c.scopes) == Scope.OPERATOR, key.c.revoked_at.is_(None))


_LASTS_AS_LONG: Final = exists().where(
    _operates(_OTHER),
    not_(and_(_OTHER.c.project_id == _KEYS.c.project_id, _OTHER.c.id == _KEYS.c.id)),
    or_(_OTHER.c.expires_at.is_(None), and_(_KEYS.c.expires_at.is_not(None), _OTHER.c.expires_at > _NOW)),
)
# Of all projects: an operator's key belongs to one of them and administers all.
_IS_LAST_OPERATOR: Final = Value(
    bool,
    exists().where(
        _REFERRED,
        _operates(_KEYS),
        or_(_KEYS.c.expires_at.is_(None), _KEYS.c.expires_at > _NOW),
        not_(_LASTS_AS_LONG),
    ),
)
SELECT_IS_LAST_OPERATOR = CoreStatement(select(*_IS_LAST_OPERATOR.elements()), Values(_KeyRef), _IS_LAST_OPERATOR)


async def is_last_operator(connection: Connection, project_id: UUID, key_id: str) -> bool:
    """Whether no other key could administer the service for as long as this one can; call under `lock_keys`."""
    return await connection.fetchone(SELECT_IS_LAST_OPERATOR, _KeyRef(project_id, key_id))


_USED: Final = Batch(_KeyRef)
_ROWS: Final = _USED.rows_of()
# Locked in the order of their ids: two processes that saw the same keys would otherwise deadlock.
_LOCKED: Final = (
    select(_K.c.project_id, _K.c.id)
    .join_from(_ROWS, _K, and_(_K.c.project_id == _ROWS.c.project_id, _K.c.id == _ROWS.c.id))
    .order_by(_K.c.project_id, _K.c.id)
    .with_for_update(of=_K)
    .cte("locked")
)
MARK_USED = CoreStatement(
    update(_KEYS)
    .values(last_used_at=_NOW)
    .where(_KEYS.c.project_id == _LOCKED.c.project_id, _KEYS.c.id == _LOCKED.c.id),
    _USED,
    NO_ROWS,
)


async def mark_used(connection: Connection, used: Collection[tuple[UUID, str]]) -> None:
    """Set the time of last use of these keys."""
    await connection.execute(MARK_USED, [_KeyRef(project_id, key_id) for project_id, key_id in used])


_ANY: Final = Value(bool, exists().select_from(_KEYS))
SELECT_ANY = CoreStatement(select(*_ANY.elements()), NOTHING, _ANY)
# SQLAlchemy has no expression for it.
LOCK = Statement("LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE")


async def any_key(connection: Connection) -> bool:
    """Whether this database has ever had a key: only an empty one gets a first key."""
    return await connection.fetchone(SELECT_ANY, None)


async def lock_keys(connection: Connection) -> None:
    """Lock the keys: two processes that start on an empty database would otherwise each create the first one."""
    await connection.execute(LOCK, None)
