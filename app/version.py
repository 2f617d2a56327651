"""The version that runs."""

from importlib.metadata import PackageNotFoundError, version


def running_version() -> str | None:
    """Return the version of the installed distribution; None for sources that are not installed."""
    try:
        return version("jobtrack")
    except PackageNotFoundError:
        return None
