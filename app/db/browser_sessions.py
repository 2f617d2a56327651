"""Sessions of browsers and the codes that begin them. The database's clock decides how long each is good."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.db import upkeep_tables
from app.db.connection import Connection
from app.db.key_lookups import PRINCIPAL, VALID
from app.db.lookups import lookup
from app.db.parameters import Batch, Values
from app.db.projection import NO_ROWS, Projection
from app.db.statement import CoreStatement, Statement
from app.domain.principal import KeyRef, Principal
from app.domain.session_text import SessionRef

IDLE: Final = timedelta(hours=12)
"""A session that nobody has used for so long is over."""
LONGEST: Final = timedelta(days=7)
CODE_KEPT: Final = timedelta(minutes=5)

_CODES, _SESSIONS = upkeep_tables.session_codes, upkeep_tables.browser_sessions
_NOW: Final = func.statement_timestamp()


@dataclass(frozen=True, slots=True)
class _NewCode:
    digest: bytes
    project_id: UUID
    key_id: str
    kept: timedelta


INSERT_CODE = CoreStatement(
    insert(_CODES).values(
        digest=bindparam("digest"),
        project_id=bindparam("project_id"),
        key_id=bindparam("key_id"),
        expires_at=_NOW + bindparam("kept"),
    ),
    Values(_NewCode),
    NO_ROWS,
)


async def insert_code(connection: Connection, digest: bytes, key: KeyRef) -> None:
    """Store a one-time code for a key."""
    await connection.execute(INSERT_CODE, _NewCode(digest, *key, CODE_KEPT))


class _Digest(NamedTuple):
    digest: bytes


_KEY_OF_CODE: Final = Projection(KeyRef, _CODES)
_IS_GOOD: Final = and_(_CODES.c.digest == bindparam("digest"), _CODES.c.expires_at > _NOW)
SELECT_CODE = CoreStatement(select(*_KEY_OF_CODE.elements()).where(_IS_GOOD), Values(_Digest), _KEY_OF_CODE)
TAKE_CODE = CoreStatement(
    delete(_CODES).where(_IS_GOOD).returning(*_KEY_OF_CODE.elements()), Values(_Digest), _KEY_OF_CODE
)


async def select_code(connection: Connection, digest: bytes) -> KeyRef | None:
    """Return the key that a code stands for, without using the code up."""
    return await connection.fetchrow(SELECT_CODE, _Digest(digest))


async def take_code(connection: Connection, digest: bytes) -> KeyRef | None:
    """Use a code up; returns the key that it stood for. Of two that try at once one gets it."""
    return await connection.fetchrow(TAKE_CODE, _Digest(digest))


@dataclass(frozen=True, slots=True)
class _NewSession:
    project_id: UUID
    digest: bytes
    key_id: str


INSERT = CoreStatement(
    insert(_SESSIONS).values(
        project_id=bindparam("project_id"),
        digest=bindparam("digest"),
        key_id=bindparam("key_id"),
        created_at=_NOW,
        used_at=_NOW,
    ),
    Values(_NewSession),
    NO_ROWS,
)


async def insert_session(connection: Connection, session: SessionRef, key_id: str) -> None:
    """Store a session that begins now."""
    await connection.execute(INSERT, _NewSession(*session, key_id))


@dataclass(frozen=True, slots=True)
class _Found:
    session: SessionRef
    principal: Principal


_AGES: Final = (
    f"s.used_at > statement_timestamp() - interval '{IDLE.total_seconds():.0f} s' "
    f"AND s.created_at > statement_timestamp() - interval '{LONGEST.total_seconds():.0f} s'"
)
SELECT_BY_DIGESTS = Statement(
    "SELECT :returned FROM :rows "
    f"CROSS JOIN {lookup('browser_sessions', 's', project_id='i.project_id', digest='i.digest')} "
    f"CROSS JOIN {lookup('keys', 'k', project_id='s.project_id', id='s.key_id')} WHERE {_AGES} AND {VALID}",
    Batch(SessionRef),
    Projection(_Found, columns={"session": Projection(SessionRef, _SESSIONS.alias("s")), "principal": PRINCIPAL}),
)


async def select_by_digests(connection: Connection, sessions: Sequence[SessionRef]) -> dict[SessionRef, Principal]:
    """Return the principals of those sessions that are good, as their keys are."""
    return {found.session: found.principal for found in await connection.fetch(SELECT_BY_DIGESTS, sessions)}


DELETE = CoreStatement(
    delete(_SESSIONS).where(
        _SESSIONS.c.project_id == bindparam("project_id"), _SESSIONS.c.digest == bindparam("digest")
    ),
    Values(SessionRef),
    NO_ROWS,
)


async def delete_session(connection: Connection, session: SessionRef) -> None:
    """Delete a session: its token is good for nothing any more."""
    await connection.execute(DELETE, session)


_USED: Final = Batch(SessionRef)
_ROWS: Final = _USED.rows_of()
_S: Final = _SESSIONS.alias("s")
# Locked in the order of their keys: two processes that saw the same sessions would otherwise deadlock.
_LOCKED: Final = (
    select(_S.c.project_id, _S.c.digest)
    .join_from(_ROWS, _S, and_(_S.c.project_id == _ROWS.c.project_id, _S.c.digest == _ROWS.c.digest))
    .order_by(_S.c.project_id, _S.c.digest)
    .with_for_update(of=_S)
    .cte("locked")
)
MARK_USED = CoreStatement(
    update(_SESSIONS)
    .values(used_at=_NOW)
    .where(_SESSIONS.c.project_id == _LOCKED.c.project_id, _SESSIONS.c.digest == _LOCKED.c.digest),
    _USED,
    NO_ROWS,
)


async def mark_used(connection: Connection, sessions: Collection[SessionRef]) -> None:
    """Set the time of last use of these sessions."""
    await connection.execute(MARK_USED, list(sessions))


# Read from end to end: a row is a browser, or a code of the last minutes.
FORGET_ENDED = Statement(
    "WITH codes AS (DELETE FROM session_codes c WHERE c.expires_at <= statement_timestamp()) "
    f"DELETE FROM browser_sessions s WHERE NOT ({_AGES})"
)


async def forget_ended(connection: Connection) -> int:
    """Delete sessions and codes that are over; returns how many sessions."""
    return await connection.execute(FORGET_ENDED, None)
