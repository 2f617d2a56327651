"""The log of the server: one file to which the server itself appends, and which we keep small.

A pipe to us would break when we are killed, and the server's own log collector limits files by time, not by size.
"""

import os
import shutil
from pathlib import Path

from app.embedded.data_dir import keep_owner

_LIMIT = 8 * 1024 * 1024


def open_for_server(path: Path) -> int:
    """Open the log for the server and return the descriptor; writes go to its end, even after it was truncated."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    keep_owner(descriptor, path.parent)
    return descriptor


def keep_small(path: Path, limit: int = _LIMIT) -> None:
    """Copy a long log aside and truncate it; lines written in between are lost, which is acceptable for a log."""
    try:
        if path.stat().st_size < limit:
            return
        aside = path.with_name(path.name + ".1")
        shutil.copyfile(path, aside)
        aside.chmod(0o600)
        os.truncate(path, 0)
    except OSError:
        # A full disk is reported by the server already; its log must not make us fail.
        return


def size(path: Path) -> int:
    """Return the size of the log, which is the offset of the next line."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def since(path: Path, offset: int) -> str:
    """Return what was written after `offset`."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(64 * 1024).decode("utf-8", "replace")
    except OSError:
        return ""
