"""Where files that are not code lie: the same names for a checkout and for an installed wheel."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def migrations_dir() -> Path:
    """The Alembic scripts: inside the package in a wheel, beside it in a checkout."""
    packed = _PACKAGE / "migrations"
    return packed if packed.is_dir() else _PACKAGE.parent / "migrations"


def assets_dir() -> Path:
    """The front-end libraries that `make assets` fetches; absent until it has run."""
    return _PACKAGE / "static" / "vendor"


def default_data_dir() -> Path:
    """Where the embedded database and generated secrets lie when nobody says otherwise.

    One place for the service and for the command line, which looks there for the key. Root's own data folder is closed
    to every other user, and PostgreSQL runs as one of those.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/jobtrack")
    # Only here: nobody who merely asks for the scripts should pay for it.
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path("jobtrack", appauthor=False)
