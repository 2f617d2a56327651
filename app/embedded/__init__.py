"""A real PostgreSQL that the service starts, supervises and stops itself.

Nothing here depends on jobs, settings or asyncio: `EmbeddedPostgres(data_dir).start()` returns a URL, and every failure
is an `EmbeddedError` whose message explains what is wrong and what to do next.
"""

from app.embedded.errors import (
    AlreadyRunningError,
    BinariesError,
    DataDirError,
    DiskFullError,
    EmbeddedError,
    StartError,
    VersionError,
    WrongOwnerError,
)
from app.embedded.supervisor import EmbeddedPostgres

__all__ = [
    "AlreadyRunningError",
    "BinariesError",
    "DataDirError",
    "DiskFullError",
    "EmbeddedError",
    "EmbeddedPostgres",
    "StartError",
    "VersionError",
    "WrongOwnerError",
]
