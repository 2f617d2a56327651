"""Sessions behind a pooler, which refuses or ignores the settings that a connection asks for when it is opened.

There they are stored with the role, for this database alone, by `jobtrack migrate`: SET LOCAL would need a transaction
around each statement, and SET would be another client's setting the next moment.
"""

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from app.db.opening import CONNECTION_SETTINGS, SESSION_SETTINGS, asyncpg_dsn, open_connection

ADVISORY_LOCK: Final = 0x6A6F6274
"""The migrations' own: two processes that alter a role at once fail, and two that compare clusters find two."""

STORED: Final[Mapping[str, str]] = {name: v for name, v in SESSION_SETTINGS.items() if name not in CONNECTION_SETTINGS}

_STATEMENT = "format('ALTER ROLE %I IN DATABASE %I SET %I = %L', current_user, current_database(), needed.name, value)"
_NEEDED = "unnest($1::text[], $2::text[]) AS needed(name, value)"

_NOT_STORED: Final = f"""
SELECT {_STATEMENT} FROM {_NEEDED}
WHERE NOT EXISTS (
    SELECT FROM pg_db_role_setting s
    WHERE s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
    AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND needed.name || '=' || value = ANY (s.setconfig)
)
"""
_NOT_SHOWN: Final = f"SELECT {_STATEMENT} FROM {_NEEDED} JOIN pg_settings s USING (name) WHERE s.setting <> value"


async def store_settings(url: str) -> str | None:
    """Store the settings with the role of this URL; return the statements where it may not alter itself."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        statements = await _statements(connection, _NOT_STORED)
        try:
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                for statement in statements:
                    await connection.execute(statement)
        except asyncpg.PostgresError:
            return _joined(statements)
    finally:
        await connection.close()
    return None


async def missing_settings(url: str) -> str | None:
    """Return the statements that give the sessions of this URL their settings, or None where they have them."""
    connection = await open_connection(asyncpg_dsn(url))
    try:
        return _joined(await _statements(connection, _NOT_SHOWN))
    finally:
        await connection.close()


SHARED_TRIES = 8
"""A third connection may have the first one's session in the moment of a try, and the second one gets another."""


async def is_shared(url: str) -> bool:
    """Whether a pooler gives one session of the database to several connections, on which LISTEN is lost.

    Asked without a LISTEN, which would stay in a session that nobody of us has any more: a connection whose session has
    another number than it was told is behind a pooler, and where a second one can get the first one's session, or the
    first one gets another, they are shared by transaction.
    """
    first = await open_connection(asyncpg_dsn(url))
    try:
        number = await first.fetchval(_SESSION)
        if number == first.get_server_pid():
            return False
        second = await open_connection(asyncpg_dsn(url))
        try:
            for _ in range(SHARED_TRIES):
                async with second.transaction():
                    # While the second one holds its session: only a shared one can be the first one's.
                    if number == await second.fetchval(_SESSION) or number != await first.fetchval(_SESSION):
                        return True
            return False
        finally:
            await second.close()
    finally:
        await first.close()


_SESSION: Final = "SELECT pg_backend_pid()"


async def _statements(connection: "asyncpg.Connection[Any]", query: str) -> list[str]:
    return [row[0] for row in await connection.fetch(query, list(STORED), list(STORED.values()))]


def _joined(statements: list[str]) -> str | None:
    return "; ".join(statements) or None
