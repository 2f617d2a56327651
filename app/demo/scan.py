"""Find the files of a folder, and those that are skipped without being read."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from app.demo.extract import is_supported

# Longer paths are shortened, because the API limits the length of an item's key.
_LONGEST_KEY = 255
_NOT_ENTERED = frozenset({"__pycache__", "site-packages", "dist-packages"})


@dataclasses.dataclass(frozen=True, slots=True)
class ScannedFile:
    """A file, and the reason for skipping it, if there is one."""

    key: str
    path: Path
    size: int
    mtime_ns: int
    skip_reason: str | None = None


def walk(root: Path, size_limit: int, warn: Callable[[str], None], prefix: str = "") -> Iterator[ScannedFile]:
    """Yield every file of a supported type below the folder, in the same order each time.

    Hidden folders, `__pycache__` and folders of installed packages are not entered, and links to folders are not
    followed, because they may lead out of the folder or in circles. Keys are paths below the folder, behind the prefix.
    For a folder that cannot be read, `warn` is called.
    """

    def unreadable(error: OSError) -> None:
        warn(f"{_text(error.filename)}: {error.strerror}")

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in _NOT_ENTERED)
        for name in sorted(names):
            path = Path(folder, name)
            if not is_supported(path):
                continue
            try:
                status = path.lstat()
            except OSError:
                continue  # deleted since the folder was read
            reason = None
            if not stat.S_ISREG(status.st_mode):
                reason = "not_a_regular_file"  # opening a pipe would block forever
            elif status.st_size > size_limit:
                reason = "size_limit_exceeded"
            yield ScannedFile(_key(prefix / path.relative_to(root)), path, status.st_size, status.st_mtime_ns, reason)


def _key(path: Path) -> str:
    key = _text(path.as_posix())
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{digest}...{key[-(_LONGEST_KEY - 19) :]}"


def _text(name: object) -> str:
    """Return a file name as text; the bytes of a name need not be valid text."""
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")
