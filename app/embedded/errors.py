"""What can be wrong with an embedded PostgreSQL; every text is one clear sentence and what to do next."""

import errno
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run as asked; nothing was damaged."""


class AlreadyRunningError(EmbeddedError):
    """Another service holds the data directory."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class BinariesError(EmbeddedError):
    """No usable PostgreSQL programs were found."""


class DataDirError(EmbeddedError):
    """The data directory cannot be used as it is."""


class WrongOwnerError(DataDirError):
    """The database in the data directory belongs to a user that this process cannot act for."""


class VersionError(DataDirError):
    """The database was written by another major version of PostgreSQL."""


class DiskFullError(EmbeddedError):
    """There is no space left for the database."""


class StartError(EmbeddedError):
    """PostgreSQL was started and did not come up."""


def disk_full(path: Path) -> DiskFullError:
    """The sentence for a full disk."""
    return DiskFullError(f"There is no space left on the disk of {path}: free some, or set another data directory.")


def not_writable(path: Path) -> DataDirError:
    """The sentence for a folder that cannot be written."""
    return DataDirError(
        f"The data directory {path} cannot be written by this user: make it writable, or set another data directory."
    )


def from_os_error(error: OSError, path: Path) -> EmbeddedError:
    """The sentence for a failed system call on the data directory."""
    if error.errno in _FULL:
        return disk_full(path)
    if error.errno in _REFUSED:
        return not_writable(path)
    return DataDirError(f"The data directory {path} cannot be used: {error.strerror or error}.")


def from_output(output: str, path: Path, what: str) -> EmbeddedError:
    """The sentence for a program of PostgreSQL that failed, made from what it printed."""
    # The last one is the hint beside a write that fell short, where no error number says so.
    if any(sign in output for sign in ("No space left on device", "Disk quota exceeded", "Check free disk space")):
        return disk_full(path)
    if "Read-only file system" in output:
        return not_writable(path)
    said = [line.strip() for line in output.splitlines() if "FATAL" in line or "PANIC" in line or "error:" in line]
    said = said or [line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"]
    # The first complaint is the cause; what follows is the fall.
    return StartError(f"{what} failed: {said[0]}")
