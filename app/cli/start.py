"""The start of every server command: settings, logging and a database, and one clear sentence for each error."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from app.cli.exits import Exit, fail, needing
from app.cli.setting_names import unknown_names
from app.db.migrate import NewerSchemaError
from app.logs import configure, scrub
from app.secret_files import SettingsError
from app.settings import Settings, load

logger = logging.getLogger("jobtrack")

_HOST = re.compile(r"(\[[^\]@]+\]|[^:@\[\]]*)(:\d*)?")


@contextlib.contextmanager
def start_up(**options: object) -> Iterator[Settings]:
    """Load the settings and configure logging; a database error inside the block ends the command with one sentence.

    From here on SIGTERM is raised as KeyboardInterrupt, like Ctrl-C, so that an embedded database that has just been
    started is stopped as well.
    """
    try:
        settings = load(**options)
    except SettingsError as error:
        fail(Exit.START_UP, str(error))
    secrets = (settings.bootstrap_key, settings.database_url, settings.listen_url)
    configure(
        secrets=[secret.get_secret_value() for secret in secrets if secret],
        level=logging.getLevelNamesMapping()[settings.log_level.upper()],
        as_json={"auto": None, "text": False, "json": True}[settings.log_format],
    )
    for name, dsn in (("JOBTRACK_DATABASE_URL", settings.database_url), ("JOBTRACK_LISTEN_URL", settings.listen_url)):
        if dsn and not _is_readable(dsn.get_secret_value()):
            fail(
                Exit.START_UP,
                f"{name} is wrong: in its user name and password letters such as @ : / ? # & must be percent-encoded, "
                "@ as %40.",
            )
    for warning in unknown_names(os.environ):
        logger.warning(warning)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield settings
    except NewerSchemaError as error:
        fail(Exit.START_UP, str(error))
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if not (settings.database_url and _is_about_the_database(error)):
            raise
        why = scrub(str(error).splitlines()[0] if str(error) else type(error).__name__)
        fail(Exit.START_UP, f"The database that JOBTRACK_DATABASE_URL names cannot be used: {why.rstrip('.')}.")


@contextlib.contextmanager
def embedded(settings: Settings) -> Iterator[str]:
    """Run the embedded PostgreSQL for the duration of the block; the value is its URL."""
    with needing("embedded", "The embedded PostgreSQL"):
        from app.embedded import EmbeddedError, EmbeddedPostgres

    server = EmbeddedPostgres(settings.data_dir, log=logger.info)
    try:
        url = server.start()
    except EmbeddedError as error:
        fail(Exit.START_UP, str(error))
    try:
        yield url
    finally:
        server.stop()


def _is_readable(dsn: str) -> bool:
    """Check that the driver will take the address apart where its author meant it to.

    Where it would not, its own errors repeat what it took for a port or an option: a piece of the password.
    """
    try:
        parts = urlsplit(dsn)
        if parts.query:
            parse_qsl(parts.query, strict_parsing=True)
    except ValueError:
        return False
    # By the first @, as the driver does.
    user, at, hosts = parts.netloc.partition("@")
    if not all(map(_HOST.fullmatch, (hosts if at else user).split(","))):
        return False
    return "@" not in parts.path and not parts.fragment


def _is_about_the_database(error: Exception) -> bool:
    """Return whether the error is about the database instead of a bug of ours: asyncpg or its socket raised it."""
    frame = error.__traceback__
    while frame:
        if frame.tb_frame.f_globals.get("__name__", "").startswith("asyncpg"):
            return True
        frame = frame.tb_next
    return isinstance(error, asyncpg.PostgresError)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
