"""The server's log: one file that it appends to itself, kept small from outside.

A pipe to us would break when we are killed, and the server's own collector bounds files by time, not by size.
"""

import os
import shutil
from pathlib import Path

from app.embedded.data_dir import keep_owner

_LIMIT = 8 * 1024 * 1024


def open_for_server(path: Path) -> int:
    """A descriptor to start the server with; every write goes to the end, also after the file was cut."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    keep_owner(descriptor, path.parent)
    return descriptor


def keep_small(path: Path, limit: int = _LIMIT) -> None:
    """Move a long log aside and cut it; lines written in between are lost, which a log can bear."""
    try:
        if path.stat().st_size < limit:
            return
        aside = path.with_name(path.name + ".1")
        shutil.copyfile(path, aside)
        aside.chmod(0o600)
        os.truncate(path, 0)
    except OSError:
        # A full disk is the server's trouble already; the log must not become ours.
        return


def size(path: Path) -> int:
    """Where the next line will be written."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def since(path: Path, offset: int) -> str:
    """What was written after `offset`."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(64 * 1024).decode("utf-8", "replace")
    except OSError:
        return ""
