"""The steps of a job: what each stage does with a batch of files, and the item updates that result."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from app.demo import words
from app.demo.embed import embed
from app.demo.extract import BrokenFile, extract
from app.demo.index import Entry, Index
from app.demo.workfile import WorkFile, text_of
from jobtrack_client import ItemUpdate

Step = Callable[[Sequence[sqlite3.Row]], list[ItemUpdate]]


class Steps:
    """The stages between scanning and finalizing; each stores in the work file what the next one needs."""

    def __init__(self, work: WorkFile, index: Index) -> None:
        self._work = work
        self._index = index
        self._files_with_terms: dict[str, int] | None = None

    def by_stage(self) -> dict[str, Step]:
        """Return the step of each stage, in the order of the stages."""
        return {
            "extracting": self.extract,
            "chunking": self.chunk,
            "tagging": self.tag,
            "embedding": self.embed,
        }

    def extract(self, rows: Sequence[sqlite3.Row]) -> list[ItemUpdate]:
        """Read the files and extract their texts; a broken file fails, and the job continues."""
        return [self._extract(row) for row in rows]

    def _extract(self, row: sqlite3.Row) -> ItemUpdate:
        update = _processing(row, "extracting")
        path = Path(os.fsdecode(row["path"]))
        try:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if self._index.is_same(index_name(path), digest, row["mtime_ns"]):
                update |= {"status": "skipped", "skip_reason": "already_indexed"}
            else:
                extracted = extract(path, content)
                self._work.set_text(row["n"], digest, extracted.text, extracted.pages)
        except OSError as error:
            message = error.strerror or type(error).__name__
            update |= {"status": "failed", "error_code": "unreadable", "error_message": message}
        except BrokenFile as error:
            update |= {"status": "failed", "error_code": error.code, "error_message": str(error)[:500]}
        if update["status"] != "processing":
            self._work.finish(row["n"], update)
        return update

    def chunk(self, rows: Sequence[sqlite3.Row]) -> list[ItemUpdate]:
        """Cut the texts into chunks and count their words."""
        for row in rows:
            text = text_of(row)
            self._work.set_chunks(row["n"], words.spans(text), words.frequent_terms(text))
        return [_processing(row, "chunking") for row in rows]

    def tag(self, rows: Sequence[sqlite3.Row]) -> list[ItemUpdate]:
        """Choose keywords by the number of files in which each word occurs, known now that all texts are counted."""
        if self._files_with_terms is None:
            self._files_with_terms = self._work.files_with_terms()
        files = self._work.counts().get("queued", 0)
        for row in rows:
            tags = words.tags(json.loads(row["terms"]), self._files_with_terms, files)
            self._work.set_tags(row["n"], tags)
        return [_processing(row, "tagging") for row in rows]

    def embed(self, rows: Sequence[sqlite3.Row]) -> list[ItemUpdate]:
        """Embed the chunks and store them in the index, where the next run finds the files."""
        entries = [_entry(row) for row in rows]
        # Stored before the work file is updated: after a crash in between, the same entries are stored again.
        self._index.add(entries)
        updates: list[ItemUpdate] = []
        for row, entry in zip(rows, entries, strict=True):
            update = _processing(row, "embedding")
            update |= {
                "status": "completed",
                "message": f"{len(entry.spans)} chunks",
                "result": {"tags": entry.tags, "pages": entry.pages},
            }
            self._work.finish(row["n"], update)
            updates.append(update)
        return updates


def index_name(path: Path) -> str:
    """Return the name of a file in the index: its path, as text that SQLite can store."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _processing(row: sqlite3.Row, stage: str) -> ItemUpdate:
    return {"key": row["key"], "status": "processing", "stage": stage}


def _entry(row: sqlite3.Row) -> Entry:
    text = text_of(row)
    spans = [(first, last) for first, last in json.loads(row["spans"])]
    return Entry(
        path=index_name(Path(os.fsdecode(row["path"]))),
        size=row["size"],
        mtime_ns=row["mtime_ns"],
        sha256=row["sha256"],
        pages=row["pages"],
        tags=json.loads(row["tags"]),
        spans=spans,
        vectors=[embed(text[first:last]) for first, last in spans],
    )
