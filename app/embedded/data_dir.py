"""The data directory itself: made when missing, held by one service at a time, and its socket folder.

DATA_DIR/service.lock   held while a service runs; the text is its process id
DATA_DIR/postgres/      the database
DATA_DIR/postgres.log   what the server prints, at most two files of some megabytes
DATA_DIR/run/           the socket; elsewhere when this path is too long, and then named in DATA_DIR/socket-dir
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
# A socket's path may have 107 bytes on Linux and 103 on macOS. Letters that URLs or host lists treat specially
# (a comma separates hosts) send us to the short path as well.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+~@-]{1,100}")


def prepare(data_dir: Path) -> None:
    """Create the data directory when it is missing, and refuse what cannot be written."""
    missing = [folder for folder in (data_dir, *data_dir.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            # The server's user passes through these on its way to folders that are its own; their content is closed.
            folder.chmod(0o755 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    if not data_dir.is_dir():
        raise DataDirError(f"{data_dir} is not a folder: set another data directory.")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise not_writable(data_dir)


def require_reachable(data_dir: Path, account: Account) -> None:
    """Refuse a place that the server's user cannot get to; opening other people's folders is not ours to do."""
    closed = account.first_closed_folder(data_dir) if account.switch else None
    if closed:
        raise DataDirError(
            f"PostgreSQL refuses to run as root, and user {account.name}, under which it would run, cannot enter "
            f"{closed}: set another data directory, for example JOBTRACK_DATA_DIR=/var/lib/jobtrack, "
            f"or open this one with chmod o+x {closed}."
        )


def acquire(data_dir: Path) -> int:
    """Take the lock that makes this service the only one here; the kernel drops it however the process ends."""
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
    """Give a file that root has opened to the data directory's owner, who may run the service next time."""
    if os.geteuid() == 0:
        owner = data_dir.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def socket_dir(data_dir: Path, account: Account) -> Path:
    """The folder of the socket: private to the server's user, and short enough for a socket's path."""
    near = data_dir / "run"
    try:
        if _fits(near):
            near.mkdir(mode=0o700, exist_ok=True)
            account.give(near)
            near.chmod(0o700)
            return near
        note = data_dir / "socket-dir"
        remembered = Path(note.read_text().strip()) if note.is_file() else None
        if remembered and _is_private(remembered, account):
            return remembered
        far = _temporary(account)
        note.write_text(f"{far}\n")
    except OSError as error:
        raise from_os_error(error, data_dir) from error
    return far


def _fits(folder: Path) -> bool:
    return _PLAIN_PATH.fullmatch(f"{folder}/.s.PGSQL.{PORT}.lock") is not None


def _is_private(folder: Path, account: Account) -> bool:
    """Whether a remembered folder under a public one is still ours: not somebody else's of the same name."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == account.uid and stat.S_IMODE(status.st_mode) == 0o700


def _temporary(account: Account) -> Path:
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  # mkdtemp below makes a private folder
        if _fits(parent / "jobtrack-12345678") and not account.first_closed_folder(parent):
            folder = Path(tempfile.mkdtemp(prefix="jobtrack-", dir=parent))
            account.give(folder)
            return folder
    raise DataDirError("There is no place for a socket with a short path: set JOBTRACK_DATA_DIR to a shorter one.")
