"""The folders of files that are not code, in a checkout and in an installed wheel alike."""

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
    """Return the default folder of the embedded database and the generated secrets, where clients look for the key."""
    # Imported here, because with the client comes its HTTP library, which a service with a folder does without.
    from jobtrack_client.discovery import default_data_dir as found  # noqa: PLC0415

    return found()
