"""`jobtrack migrate`: upgrade the schema. No other command changes the schema of a database that is named."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING

from app.cli.exits import Exit, fail, needing
from app.cli.target import AsJson

if TYPE_CHECKING:
    from app.domain.queue import Keeping
    from app.settings import Settings

logger = logging.getLogger("jobtrack")


def migrate(as_json: AsJson = False) -> None:
    """Bring the database schema up to date. Safe to repeat, and to run from many machines at once."""
    with needing("server", "Migrating"):
        from app.cli.start import embedded, start_up
        from app.db.migrate import is_current, upgrade
        from app.db.sessions import store_settings

    with start_up() as settings, contextlib.ExitStack() as stack:
        named = url_of(settings)
        url = named or stack.enter_context(embedded(settings))
        was_current = is_current(url)
        if not was_current:
            upgrade(url)
        note_cluster(url)
        # There can be no pooler before the embedded one.
        if named and (statements := asyncio.run(store_settings(named))):
            logger.warning(
                "the role of JOBTRACK_DATABASE_URL may not alter itself; behind a pooler its sessions need settings. "
                "Run as an administrator of the database: %s",
                statements,
            )
    if as_json:
        print(json.dumps({"migrated": not was_current}))
    else:
        print("The database was up to date." if was_current else "The database is up to date now.")


def bring_up_to_date(url: str) -> None:
    """Upgrade the embedded database at a start of the service: a new one in one line, where a terminal shows it."""
    from app.db.migrate import count_of_new, is_current, upgrade
    from app.logs import hushed

    if is_current(url):
        return
    if count := count_of_new(url):
        logger.info("Creating its tables (%d migrations)", count)
        with hushed("alembic"):
            upgrade(url)
    else:
        upgrade(url)


def url_of(settings: Settings) -> str | None:
    """Return the URL of the database in the settings, if there is one."""
    return settings.database_url.get_secret_value() if settings.database_url else None


def warn_of_missing_settings(url: str) -> None:
    """Write one warning where a pooler keeps the settings of our sessions from the database."""
    from app.db.sessions import missing_settings

    if statements := asyncio.run(missing_settings(url)):
        logger.warning(
            "a pooler keeps the settings of our sessions from the database, so that nothing there has a time limit. "
            "Run `jobtrack migrate`, or as an administrator of the database: %s; then let the pooler open new "
            "connections (RECONNECT in PgBouncer's console)",
            statements,
        )


def warn_of_kept_jobs(url: str, keeping: Keeping) -> None:
    """Write one warning while a database from before the times of keeping keeps all its ended jobs."""
    if sentence := kept_jobs(url, keeping):
        logger.warning(sentence)


def kept_jobs(url: str, keeping: Keeping) -> str | None:
    """Describe in a sentence what the service's times would delete, of a database that keeps all until one is set."""
    from app.db.kept import count_kept
    from app.domain.queue import DAY_SECONDS

    kept = None if keeping.is_set else asyncio.run(count_kept(url, keeping))
    if kept is None:
        return None
    jobs = "more ended jobs than can be counted in ten seconds" if kept.jobs is None else f"{kept.jobs} ended jobs"
    return (
        "this database is older than the service's times of keeping ended jobs and keeps them all, until "
        "JOBTRACK_KEEP_DAYS or JOBTRACK_KEEP_FAILED_DAYS is set: the defaults, "
        f"{keeping.seconds // DAY_SECONDS} days and {keeping.failed_seconds // DAY_SECONDS} for those that failed or "
        f"expired, would delete {jobs}"
    )


def require_current(url: str) -> None:
    """Exit unless the database has this version's schema; only `jobtrack migrate` changes that of a named database."""
    from app.db.migrate import check_not_newer, is_current

    check_not_newer(url)
    if not is_current(url):
        fail(Exit.START_UP, "The database is not at this version's schema: run `jobtrack migrate` first.")


def note_cluster(url: str) -> None:
    """Compare the cluster with the one that the database was in before, and write what the operator should know."""
    import asyncpg

    from app.db.epochs import compare_cluster

    try:
        found = asyncio.run(compare_cluster(url))
    except asyncpg.PostgresError as error:
        # A primary that takes no writes just now, or a role that may not: the service can still be read from.
        logger.warning("the database's cluster cannot be compared with the one that it was in before: %s", error)
        return
    if found.is_new:
        logger.warning(
            "the database was restored into another cluster: streams of events begin anew, with `reset` for readers "
            "that resume, and cursors of histories get 410"
        )
    if not found.is_certain:
        logger.warning(
            "the role of JOBTRACK_DATABASE_URL may not read the cluster's identifier: a database that was restored is "
            "known by the numbers of its transactions alone. Run as an administrator of the database: "
            "GRANT EXECUTE ON FUNCTION pg_control_system() TO the role"
        )
