"""Which database the operator's commands work on: that of the settings, wherever JOBTRACK_URL points."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from app.cli.exits import explain

if TYPE_CHECKING:
    from app.settings import Settings


def name_of(settings: Settings) -> str:
    """Return the words for the database of the settings, with its place and never a password."""
    if settings.database_url is None:
        return f"the embedded database in {settings.data_dir}"
    return _named(settings.database_url.get_secret_value())


def warn_of_another(settings: Settings) -> None:
    """Print one sentence where JOBTRACK_URL is the address of another service than the one of these settings.

    Without the address that a service keeps in its data directory nobody knows whether it is another one.
    """
    from jobtrack_client import discovery

    url, kept = os.environ.get("JOBTRACK_URL", "").strip(), discovery.kept_address(settings.data_dir)
    if url and kept and not discovery.are_same(url, kept):
        # Neither JOBTRACK_URL nor JOBTRACK_DATABASE_URL is repeated: here nothing has checked where a password stands.
        explain(
            f"JOBTRACK_URL is not {kept}, the service of {settings.data_dir}: this command works on the settings and "
            "the database of this machine, and not on the service at JOBTRACK_URL."
        )


def _named(dsn: str) -> str:
    """Return the words for a database that is named, as the driver reads its address."""
    parts = urlsplit(dsn)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    hosts = unquote(parts.netloc.rpartition("@")[2]) or ":".join(
        options[name] for name in ("host", "port") if options.get(name)
    )
    name = unquote(parts.path.strip("/")) or options.get("dbname") or options.get("database")
    return f"the database {name or 'of its user'} at {hosts or 'the default host'}"
