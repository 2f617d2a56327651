"""The folders of files that are not code, in a checkout and in an installed wheel alike."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).parent


def migrations_dir() -> Path:
    """Return the folder of the Alembic scripts: inside the package in a wheel, beside it in a checkout."""
    packed = _PACKAGE / "migrations"
    return packed if packed.is_dir() else _PACKAGE.parent / "migrations"


def assets_dir() -> Path:
    """Return the folder of the front-end libraries, which exists once `make assets` has fetched them."""
    return _PACKAGE / "static" / "vendor"


def wheels_dir() -> Path:
    """Return the folder of the client's wheel, which exists once `make assets` has built it."""
    return _PACKAGE / "wheels"


def default_data_dir() -> Path:
    """Return the default folder of the embedded database and the generated secrets.

    The service and the command line, which reads the API key there, use the same one. Root has another default, because
    root's own data folder is closed to all other users, and PostgreSQL has to run as one of them.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/jobtrack")
    # Imported here, because the other functions do not need it.
    from platformdirs import user_data_path  # noqa: PLC0415

    return user_data_path("jobtrack", appauthor=False)
