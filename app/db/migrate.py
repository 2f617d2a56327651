"""Bringing the schema up to date. Synchronous: Alembic is, and it runs before there is an event loop."""

import asyncio
from functools import cache

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.db.connection import Connection
from app.db.opening import asyncpg_dsn, open_connection
from app.db.projection import Value
from app.db.statement import Statement
from app.paths import migrations_dir


def _config(database_url: str) -> Config:
    config = Config()
    # Alembic interpolates its options; a path may hold a per cent sign.
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.attributes["url"] = database_url
    return config


class NewerSchemaError(Exception):
    """The database was migrated by a newer version of the service."""


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run the migrations that are missing. Safe from many processes at once: one does it, the others find it done.

    Raises `NewerSchemaError`.
    """
    check_not_newer(database_url)
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Undo migrations down to a revision (`base` for all of them), which drops their tables with the data."""
    command.downgrade(_config(database_url), revision)


def is_current(database_url: str) -> bool:
    """Whether the database is at the revision that this code was written for."""
    heads = ScriptDirectory.from_config(_config(database_url)).get_heads()
    return set(heads) == asyncio.run(_revisions(database_url))


def count_of_new(database_url: str) -> int:
    """Count the migrations that a new database gets; 0 for one that was migrated before."""
    if asyncio.run(_revisions(database_url)):
        return 0
    return sum(1 for _ in ScriptDirectory.from_config(_config(database_url)).walk_revisions())


def check_not_newer(database_url: str) -> None:
    """Raise `NewerSchemaError` if this code does not know the database's revision."""
    script = ScriptDirectory.from_config(_config(database_url))
    unknown = asyncio.run(_revisions(database_url)) - {one.revision for one in script.walk_revisions()}
    if unknown:
        raise NewerSchemaError(
            f"The database's schema ({', '.join(sorted(unknown))}) is newer than this version of Jobtrack, which knows "
            f"{', '.join(script.get_heads())}: run the version that migrated it, or restore a backup from before."
        )


@cache
def outdated_revisions() -> frozenset[str]:
    """Return the revisions that are older than this code. An unknown one is newer, and is compatible with this code
    while a new version is rolled out.
    """
    script = ScriptDirectory.from_config(_config(""))
    return frozenset(one.revision for one in script.walk_revisions()) - frozenset(script.get_heads())


# The table is Alembic's own and not part of the metadata.
HAS_REVISIONS = Statement("SELECT :returned", returns=Value(bool, "to_regclass('alembic_version') IS NOT NULL"))
REVISIONS = Statement("SELECT :returned FROM alembic_version v", returns=Value(str, "v.version_num"))


async def select_revisions(connection: Connection) -> frozenset[str]:
    """Read the database's revision; empty if it was never migrated."""
    if not await connection.fetchone(HAS_REVISIONS, None):
        return frozenset()
    return frozenset(await connection.fetch(REVISIONS, None))


async def _revisions(database_url: str) -> set[str]:
    connection = await open_connection(asyncpg_dsn(database_url))
    try:
        return {REVISIONS.read(row) for row in await connection.fetch(REVISIONS.sql)}
    except asyncpg.UndefinedTableError:
        return set()
    finally:
        await connection.close()
