"""The data directory: create it, lock it for one service at a time, and choose its socket folder.

DATA_DIR/service.lock   locked while a service runs; contains its process id
DATA_DIR/postgres/      the database
DATA_DIR/postgres.log   the output of the server, at most two files of some megabytes
DATA_DIR/run/           the socket; if this path is too long, it is elsewhere and DATA_DIR/socket-dir has its path
"""

import fcntl
import os
import re
import stat
import tempfile
from pathlib import Path

from app.embedded.account import Account
from app.embedded.errors import AlreadyRunningError, DataDirError, from_os_error, not_writable

PORT = 5432
# A socket's path may have 107 bytes on Linux and 103 on macOS. Characters that are special in URLs or host lists (a
# comma separates hosts) require the folder elsewhere as well.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+~@-]{1,100}")


def prepare(data_dir: Path) -> None:
    """Create the data directory if it is missing. Raises `EmbeddedError` if it cannot be written to."""
    missing = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            # The server's user passes through these to its own folders, whose contents are closed to others.
            folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    if not data_dir.is_dir():
        raise DataDirError(f"{data_dir} is not a folder: set another data directory.")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise not_writable(data_dir)


def require_reachable(data_dir: Path, account: Account) -> None:
    """Raise `DataDirError` if the server's user cannot reach the directory; we never open folders of other people."""
    closed = account.first_closed_folder(data_dir) if account.switch else None
    if closed:
        raise DataDirError(
            f"PostgreSQL refuses to run as root, and user {account.name}, under which it would run, cannot enter "
            f"{closed}: set another data directory, for example JOBTRACK_DATA_DIR=/var/lib/jobtrack, "
            f"or open this one with chmod o+x {closed}."
        )


def acquire(data_dir: Path) -> int:
    """Acquire the lock against a second service; the kernel releases it, however the process ends."""
    path = data_dir / "service.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        keep_owner(lock, data_dir)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        text = os.pread(lock, 32, 0).strip()
        os.close(lock)
        pid = int(text) if text.isdigit() else None
        raise AlreadyRunningError(
            f"Another Jobtrack{f' (process {pid})' if pid else ''} is using {data_dir}: "
            "stop it first, or set another data directory.",
            pid,
        ) from None
    except OSError as error:
        os.close(lock)
        raise from_os_error(error, data_dir) from error
    return lock


def keep_owner(descriptor: int, data_dir: Path) -> None:
    """Change the owner of a file opened by root to that of the data directory, who may run the service next time."""
    if os.geteuid() == 0:
        owner = data_dir.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def socket_dir(data_dir: Path, account: Account) -> Path:
    """Return the folder for the socket: private to the server's user, and short enough for a socket's path."""
    inside = data_dir / "run"
    try:
        if _fits(inside):
            inside.mkdir(mode=0o700, exist_ok=True)
            account.chown(inside)
            inside.chmod(0o700)
            return inside
        pointer = data_dir / "socket-dir"
        stored = Path(pointer.read_text().strip()) if pointer.is_file() else None
        if stored and _is_private(stored, account):
            return stored
        outside = _temporary(account)
        pointer.write_text(f"{outside}\n")
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    return outside


def _fits(folder: Path) -> bool:
    return _PLAIN_PATH.fullmatch(f"{folder}/.s.PGSQL.{PORT}.lock") is not None


def _is_private(folder: Path, account: Account) -> bool:
    """Return whether a folder in a public one is still ours, and not one of another user with the same name."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and stat.S_IMODE(status.st_mode) == 0o700


def _temporary(account: Account) -> Path:
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  # mkdtemp below creates a private folder
        if _fits(parent / "jobtrack-12345678") and not account.first_closed_folder(parent):
            folder = Path(tempfile.mkdtemp(prefix="jobtrack-", dir=parent))
            account.chown(folder)
            return folder
    raise DataDirError("There is no folder for a socket with a short path: set JOBTRACK_DATA_DIR to a shorter path.")
