"""A real PostgreSQL that the service starts, watches and stops itself.

Nothing here knows jobs, settings or asyncio: `EmbeddedPostgres(data_dir).start()` answers a URL, and every failure is
an `EmbeddedError` whose text tells a person what is wrong and what to do next.
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
