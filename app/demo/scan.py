"""Finding the files of a folder, and what is left out at first sight."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from app.demo.extract import is_supported

# Longer paths are shortened to the limit that a name has on the wire.
_LONGEST_KEY = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A file, and why it is not to be indexed, if so."""

    key: str
    path: Path
    size: int
    mtime_ns: int
    skip_reason: str | None = None


def walk(root: Path, size_limit: int, warn: Callable[[str], None]) -> Iterator[Found]:
    """Give every file below the folder, in the same order each time.

    Hidden folders and `__pycache__` are not entered, links to folders not followed: a link may lead
    out of the folder or in circles. A folder that cannot be read is told to `warn`.
    """

    def unreadable(error: OSError) -> None:
        warn(f"{_text(error.filename)}: {error.strerror}")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name != "__pycache__")
        for name in sorted(names):
            path = Path(folder, name)
            try:
                found = path.lstat()
            except OSError:
                continue  # gone since the folder was read
            reason = None
            if not stat.S_ISREG(found.st_mode):
                reason = "not_a_regular_file"  # opening a pipe would wait for ever
            elif not is_supported(path):
                reason = "unsupported_type"
            elif found.st_size > size_limit:
                reason = "size_limit_exceeded"
            yield Found(_key(path.relative_to(root)), path, found.st_size, found.st_mtime_ns, reason)


def _key(path: Path) -> str:
    key = _text(path.as_posix())
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{digest}...{key[-(_LONGEST_KEY - 19) :]}"


def _text(name: object) -> str:
    """Give a file name as text: the bytes of a name need not be any."""
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")
