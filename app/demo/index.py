"""The index of embedded files: one SQLite file in the data directory, kept from run to run."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FILE_NAME = "index.sqlite"
# How long to wait while another demo writes a batch.
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    pages INTEGER NOT NULL, tags TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS chunks (
    path TEXT NOT NULL, ordinal INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (path, ordinal)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage (job_id TEXT PRIMARY KEY, pages INTEGER NOT NULL);
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A file to be indexed, with a vector for each span; spans are offsets into its text."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    pages: int
    tags: Sequence[str]
    spans: Sequence[tuple[int, int]]
    vectors: Sequence[bytes]


class Index:
    """The indexed files, each identified by its absolute path."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, directory: Path) -> Iterator[Index]:
        """Open the index in the directory for the duration of the block; create it if it does not exist."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(directory / FILE_NAME, timeout=_BUSY_SECONDS)) as connection:
            # As in the work file: what a power failure destroys is indexed anew. A file is a transaction, and to wait
            # for the disk after each would take half of the demo's time.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            yield cls(connection)

    def add(self, entries: Iterable[Entry]) -> None:
        """Store the files in place of their earlier entries, in one transaction."""
        with self._db:
            for entry in entries:
                self._db.execute("DELETE FROM chunks WHERE path = ?", (entry.path,))
                self._db.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                    (entry.path, entry.size, entry.mtime_ns, entry.sha256, entry.pages, json.dumps(entry.tags)),
                )
                self._db.executemany(
                    "INSERT INTO chunks VALUES (?, ?, ?, ?, ?)",
                    (
                        (entry.path, number, first, last, vector)
                        for number, ((first, last), vector) in enumerate(zip(entry.spans, entry.vectors, strict=True))
                    ),
                )

    def charge(self, job_id: str, pages: int) -> int:
        """Store the pages of a job, only once if it is finished repeatedly, and return the pages of all jobs so far."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?)", (job_id, pages))
        total: int = self._db.execute("SELECT sum(pages) FROM usage").fetchone()[0]
        return total

    def tags(self, path: str) -> list[str]:
        """Return the keywords of a file; an empty list if it is not indexed."""
        row = self._db.execute("SELECT tags FROM files WHERE path = ?", (path,)).fetchone()
        return list(json.loads(row[0])) if row else []

    def vectors(self, path: str) -> list[bytes]:
        """Return the vectors of a file's chunks in order."""
        rows = self._db.execute("SELECT vector FROM chunks WHERE path = ? ORDER BY ordinal", (path,))
        return [vector for (vector,) in rows]
