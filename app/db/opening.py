"""Opening a connection: its address, the settings of its session, and the limits of its silence."""

from typing import Any

import asyncpg

from app.db import deadlines

STATEMENTS_KEPT = 300
"""Larger than the number of distinct statements."""
STATEMENT_SECONDS = 3
"""How long a plan is kept. One made while a table of running jobs or of items was empty joins in the wrong order, or
reads the whole table, once it has filled.
"""
SESSION_SETTINGS = {
    "application_name": "jobtrack",
    "statement_timeout": f"{deadlines.STATEMENT_TIMEOUT_SECONDS * 1000:.0f}",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "15000",
    "timezone": "UTC",
    # The hot statements are short: compiling one costs more than it can save.
    "jit": "off",
    # Each statement has an index for what it reads. A table of one page is cheaper to read whole, but the plan is still
    # used when it has grown. A table without an index is read whole all the same: `runs` by the sweep.
    "enable_seqscan": "off",
}

CONNECTION_SETTINGS = ("application_name", "timezone")
"""Those that a pooler passes on; the others are stored with the role (`sessions`)."""
PREPARED_SETTINGS = {
    # Plans for a few rows, along the indexes: those that the tests check. A plan for a statement's thousand rows, on a
    # table without statistics yet, compared each row with each (measured: 9 s for 20,000 items instead of 0.5).
    "plan_cache_mode": "force_generic_plan",
}
"""For a direct connection: a pooler refuses a setting that its configuration does not name."""


def asyncpg_dsn(url: str) -> str:
    """Turn any usual spelling of a PostgreSQL URL into the one that asyncpg reads (multi-host and sslmode included)."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql://{rest}" if separator and scheme.startswith("postgres") else url


def connect_options(*, prepared: bool = False) -> dict[str, Any]:
    """Return the options that every connection of this service is opened with.

    Prepared statements are off by default because they return wrong rows behind a transaction-mode PgBouncer. When
    enabled, single-row statements are 3 to 10 times faster, since they are not planned again.
    """
    return {
        "statement_cache_size": STATEMENTS_KEPT if prepared else 0,
        "max_cached_statement_lifetime": STATEMENT_SECONDS,
        "server_settings": SESSION_SETTINGS | (PREPARED_SETTINGS if prepared else {}),
        "timeout": 5,
        "command_timeout": deadlines.ANSWER_SECONDS,
    }


async def open_connection(dsn: str, options: dict[str, Any] | None = None) -> "asyncpg.Connection[Any]":
    """Open a connection that does not outlive its silence, with the options of `connect_options`.

    It goes without the settings that a pooler refuses, for the role has them there. The options are changed then, so
    that their next connection is not refused first.
    """
    options = connect_options() if options is None else options
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(dsn, **options)
    except asyncpg.ProtocolViolationError as error:
        if "startup parameter" not in str(error):
            raise
        options["server_settings"] = {name: SESSION_SETTINGS[name] for name in CONNECTION_SETTINGS}
        connection = await asyncpg.connect(dsn, **options)
    deadlines.guard_socket(connection)
    return connection
