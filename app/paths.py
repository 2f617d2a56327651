"""Where files that are not code lie: the same names for a checkout and for an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def migrations_dir() -> Path:
    """The Alembic scripts: inside the package in a wheel, beside it in a checkout."""
    packed = _PACKAGE / "migrations"
    return packed if packed.is_dir() else _PACKAGE.parent / "migrations"


def assets_dir() -> Path:
    """The front-end libraries that `make assets` fetches; absent until it has run."""
    return _PACKAGE / "static" / "vendor"
