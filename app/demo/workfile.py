"""What one job has done so far, in a file of its own: the memory that survives an attempt.

Texts between two stages lie here and not in memory, so a folder may be larger than that; and a new
attempt goes on where the last one stopped, because every batch and the position after it are one
transaction.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.demo.scan import Found
from jobtrack_client import ItemUpdate

# A job that is not taken up again within a day never will be.
_LEFTOVER_SECONDS = 86_400
# What a file costs whatever its size.
_BYTES_PER_FILE = 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    n INTEGER PRIMARY KEY, key TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    status TEXT NOT NULL, sha256 TEXT, pages INTEGER NOT NULL DEFAULT 0, text BLOB, spans TEXT, terms TEXT, tags TEXT,
    told TEXT
);
CREATE TABLE IF NOT EXISTS terms (term TEXT PRIMARY KEY, files INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class WorkFile:
    """The files of a job and what is known of each; `stage` and `position` say how far it is."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row

    @classmethod
    @contextlib.contextmanager
    def open(cls, directory: Path, job_id: str) -> Iterator[WorkFile]:
        """Open the work of that job, begun where there is none, and close it in the end."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(cls.path(directory, job_id))) as connection:
            # What a power cut takes away is done again; it is not worth a disk's wait for every batch.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            yield cls(connection)

    @staticmethod
    def path(directory: Path, job_id: str) -> Path:
        """Give the name of a job's file."""
        return directory / f"work-{job_id}.sqlite"

    @classmethod
    def remove(cls, directory: Path, job_id: str) -> None:
        """Remove the work of a job that has ended, and what crashes of long ago have left."""
        cls.path(directory, job_id).unlink(missing_ok=True)
        for leftover in directory.glob("work-*.sqlite*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    leftover.unlink()

    def state(self, name: str, default: Any = None) -> Any:
        """Give a remembered value: `stage`, `position`, `warnings`, `began`."""
        row = self._db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else default

    def remember(self, **state: object) -> None:
        """Remember values; inside of `batch`, together with its work."""
        self._db.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", ((name, json.dumps(value)) for name, value in state.items())
        )

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Write what happens inside together, or not at all."""
        with self._db:
            yield

    def add(self, n: int, found: Found, update: ItemUpdate) -> None:
        """Add a file, with what the service is told of it."""
        row = (n, found.key, os.fsencode(found.path), found.size, found.mtime_ns, update["status"], json.dumps(update))
        self._db.execute(
            "INSERT INTO files (n, key, path, size, mtime_ns, status, told) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        )

    def queued(self, after: int, count: int, size: int) -> list[sqlite3.Row]:
        """Give the next files to work on, as many as the count or the size in bytes allows, at least one."""
        rows: list[sqlite3.Row] = []
        left = size
        query = "SELECT * FROM files WHERE status = 'queued' AND n > ? ORDER BY n LIMIT ?"
        for row in self._db.execute(query, (after, count)):
            left -= row["size"]
            if rows and left < 0:
                break
            rows.append(row)
        return rows

    def set_text(self, n: int, sha256: str, text: str, pages: int) -> None:
        """Keep the text of a file; pressed, which is faster than writing all of it."""
        packed = zlib.compress(text.encode(), 1)
        self._db.execute("UPDATE files SET sha256 = ?, text = ?, pages = ? WHERE n = ?", (sha256, packed, pages, n))

    def end(self, n: int, update: ItemUpdate) -> None:
        """Note how a file ended, as the service is told; its text is no longer needed."""
        values = (update["status"], json.dumps(update), n)
        self._db.execute("UPDATE files SET status = ?, told = ?, text = NULL WHERE n = ?", values)

    def told(self) -> Iterator[ItemUpdate]:
        """Give what the service was told of each file, or would have been had the last attempt lived."""
        for row in self._db.execute("SELECT told FROM files ORDER BY n").fetchall():
            yield json.loads(row["told"])

    def set_chunks(self, n: int, spans: list[tuple[int, int]], terms: Mapping[str, int]) -> None:
        """Keep the chunks of a file and its frequent words, and count it with each of those."""
        values = (json.dumps(spans), json.dumps(terms), n)
        self._db.execute("UPDATE files SET spans = ?, terms = ? WHERE n = ?", values)
        self._db.executemany(
            "INSERT INTO terms VALUES (?, 1) ON CONFLICT (term) DO UPDATE SET files = files + 1",
            ((term,) for term in terms),
        )

    def set_tags(self, n: int, tags: list[str]) -> None:
        """Keep the keywords of a file."""
        self._db.execute("UPDATE files SET tags = ? WHERE n = ?", (json.dumps(tags), n))

    def files_with_terms(self) -> dict[str, int]:
        """Give in how many files each word is a frequent one; a word of one file only is left out."""
        return dict(self._db.execute("SELECT term, files FROM terms WHERE files > 1").fetchall())

    def counts(self) -> dict[str, int]:
        """Give how many files there are of each status."""
        return dict(self._db.execute("SELECT status, count(*) FROM files GROUP BY status").fetchall())

    def load(self, after: int = -1) -> int:
        """Give the work that is left beyond a position, in bytes; opening a file counts as some, too."""
        query = "SELECT coalesce(sum(size + ?), 0) FROM files WHERE status = 'queued' AND n > ?"
        return int(self._db.execute(query, (_BYTES_PER_FILE, after)).fetchone()[0])

    def pages(self) -> int:
        """Give the pages of all files that were indexed."""
        return int(
            self._db.execute("SELECT coalesce(sum(pages), 0) FROM files WHERE status = 'completed'").fetchone()[0]
        )


def text_of(row: sqlite3.Row) -> str:
    """Give the kept text of a file."""
    return zlib.decompress(row["text"]).decode()
