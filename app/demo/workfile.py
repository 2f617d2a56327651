"""The work file of a job: its intermediate results in a SQLite file, which outlives an attempt.

Texts are kept here between two stages, so a folder may be larger than the memory. The checkpoint of the job says how
far a stage is; what it says is done has its results here, for they are stored before it is sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.demo.scan import ScannedFile
from jobtrack_client import ItemUpdate

# The file of a job that was not continued within a day is a leftover.
_LEFTOVER_SECONDS = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    n INTEGER PRIMARY KEY, key TEXT NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    status TEXT NOT NULL, sha256 TEXT, pages INTEGER NOT NULL DEFAULT 0, text BLOB, spans TEXT, terms TEXT, tags TEXT,
    item TEXT
);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class WorkFile:
    """The files of a job and the results for each."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row

    @classmethod
    @contextlib.contextmanager
    def open(cls, directory: Path, job_id: str) -> Iterator[WorkFile]:
        """Open the work file of the job for the duration of the block; create it if it does not exist."""
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(cls.path(directory, job_id))) as connection:
            # What a power failure destroys is done again; waiting for the disk after every batch would cost more.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            yield cls(connection)

    @staticmethod
    def path(directory: Path, job_id: str) -> Path:
        """Return the path of a job's work file."""
        return directory / f"work-{job_id}.sqlite"

    @classmethod
    def remove(cls, directory: Path, job_id: str) -> None:
        """Remove the work file of a job that has ended, and old files that crashes left behind."""
        cls.path(directory, job_id).unlink(missing_ok=True)
        for leftover in directory.glob("work-*.sqlite*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    leftover.unlink()

    def state(self, name: str, default: Any = None) -> Any:
        """Return a value of the state: `scanned`, `gone`, `warnings` or `began`."""
        row = self._db.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return json.loads(row["value"]) if row else default

    def set_state(self, **state: object) -> None:
        """Set values of the state; inside `batch`, in the same transaction."""
        self._db.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?)", ((name, json.dumps(value)) for name, value in state.items())
        )

    @contextlib.contextmanager
    def batch(self) -> Iterator[None]:
        """Run the block in one transaction."""
        with self._db:
            yield

    def add(self, n: int, file: ScannedFile, update: ItemUpdate) -> None:
        """Add a file with its first item update."""
        row = (n, file.key, os.fsencode(file.path), file.size, file.mtime_ns, update["status"], json.dumps(update))
        self._db.execute(
            "INSERT OR REPLACE INTO files (n, key, path, size, mtime_ns, status, item) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        )

    def listed(self, *statuses: str) -> list[tuple[int, str]]:
        """Return the numbers and keys of the files that have one of these statuses, in their order."""
        marks = ", ".join("?" * len(statuses))
        query = f"SELECT n, key FROM files WHERE status IN ({marks}) ORDER BY n"  # noqa: S608  question marks alone
        return [(row["n"], row["key"]) for row in self._db.execute(query, statuses)]

    def file(self, n: int) -> sqlite3.Row:
        """Return a file with its results so far."""
        row: sqlite3.Row = self._db.execute("SELECT * FROM files WHERE n = ?", (n,)).fetchone()
        return row

    def set_text(self, n: int, sha256: str, text: str, pages: int) -> None:
        """Store the text of a file, compressed, which is faster than writing all of it."""
        packed = zlib.compress(text.encode(), 1)
        self._db.execute("UPDATE files SET sha256 = ?, text = ?, pages = ? WHERE n = ?", (sha256, packed, pages, n))

    def finish(self, n: int, status: str) -> None:
        """Store how a file ended; its results are kept, because its last step may be repeated."""
        self._db.execute("UPDATE files SET status = ? WHERE n = ?", (status, n))

    def item_updates(self) -> Iterator[ItemUpdate]:
        """Yield the first update of each file, whether or not the last attempt was able to send it."""
        for row in self._db.execute("SELECT item FROM files ORDER BY n").fetchall():
            yield json.loads(row["item"])

    def set_chunks(self, n: int, spans: list[tuple[int, int]], terms: Mapping[str, int]) -> None:
        """Store the chunks of a file and its frequent words."""
        values = (json.dumps(spans), json.dumps(terms), n)
        self._db.execute("UPDATE files SET spans = ?, terms = ? WHERE n = ?", values)

    def set_tags(self, n: int, tags: list[str]) -> None:
        """Store the keywords of a file."""
        self._db.execute("UPDATE files SET tags = ? WHERE n = ?", (json.dumps(tags), n))

    def files_with_terms(self) -> dict[str, int]:
        """Return for each frequent word the number of files that contain it; words of a single file are omitted."""
        files: Counter[str] = Counter()
        for row in self._db.execute("SELECT terms FROM files WHERE terms IS NOT NULL"):
            files.update(json.loads(row["terms"]).keys())
        return {term: count for term, count in files.items() if count > 1}

    def counts(self) -> dict[str, int]:
        """Return the number of files by status."""
        return dict(self._db.execute("SELECT status, count(*) FROM files GROUP BY status").fetchall())

    def pages(self) -> int:
        """Return the number of pages of all indexed files."""
        return int(
            self._db.execute("SELECT coalesce(sum(pages), 0) FROM files WHERE status = 'completed'").fetchone()[0]
        )


def text_of(row: sqlite3.Row) -> str:
    """Return the stored text of a file."""
    return zlib.decompress(row["text"]).decode()
