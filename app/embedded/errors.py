"""The errors of the embedded PostgreSQL; each message is one clear sentence that says what to do next."""

import errno
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run; nothing was damaged."""


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
    """Return the error for a full disk."""
    return DiskFullError(f"There is no space left on the disk of {path}: free some, or set another data directory.")


def not_writable(path: Path) -> DataDirError:
    """Return the error for a folder that cannot be written to."""
    return DataDirError(
        f"The data directory {path} cannot be written by this user: make it writable, or set another data directory."
    )


def from_os_error(error: OSError, path: Path) -> EmbeddedError:
    """Return the error for a failed system call on the data directory."""
    if error.errno in _FULL:
        return disk_full(path)
    if error.errno in _REFUSED:
        return not_writable(path)
    return DataDirError(f"The data directory {path} cannot be used: {error.strerror or error}.")


def from_output(output: str, path: Path, what: str) -> EmbeddedError:
    """Return the error for a program of PostgreSQL that failed, built from its output."""
    # The last one is PostgreSQL's hint for a short write, for which there is no error number.
    if any(sign in output for sign in ("No space left on device", "Disk quota exceeded", "Check free disk space")):
        return disk_full(path)
    if "Read-only file system" in output:
        return not_writable(path)
    messages = [line.strip() for line in output.splitlines() if "FATAL" in line or "PANIC" in line or "error:" in line]
    messages = messages or [line.strip() for line in output.splitlines() if line.strip()] or ["it printed nothing"]
    # The first message is the cause; the others are its consequences.
    return StartError(f"{what} failed: {messages[0]}")
