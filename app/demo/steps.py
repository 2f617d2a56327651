"""The steps of a job: what each stage does with a file, and what is told of its item."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.demo import words
from app.demo.embed import embed
from app.demo.extract import extract
from app.demo.index import Entry, Index
from app.demo.workfile import WorkFile, text_of

Step = Callable[[sqlite3.Row], dict[str, Any]]


class Steps:
    """The stages between scanning and finalizing; each stores in the work file what the next one needs.

    A step may be repeated: what an attempt has done after its last report, the next one does again.
    """

    def __init__(self, work: WorkFile, index: Index) -> None:
        self._work = work
        self._index = index
        self._files_with_terms: dict[str, int] | None = None
        self._files = 0

    def by_stage(self) -> dict[str, Step]:
        """Return the step of each stage, in the order of the stages."""
        return {
            "extracting": self.extract,
            "chunking": self.chunk,
            "tagging": self.tag,
            "embedding": self.embed,
        }

    def extract(self, row: sqlite3.Row) -> dict[str, Any]:
        """Read the file and extract its text. Raises `BrokenFile` and `OSError`."""
        path = Path(os.fsdecode(row["path"]))
        content = path.read_bytes()
        extracted = extract(path, content)
        with self._work.batch():
            self._work.set_text(row["n"], hashlib.sha256(content).hexdigest(), extracted.text, extracted.pages)
        return {}

    def chunk(self, row: sqlite3.Row) -> dict[str, Any]:
        """Cut the text into chunks and count its words."""
        text = text_of(row)
        with self._work.batch():
            self._work.set_chunks(row["n"], words.spans(text), words.frequent_terms(text))
        return {}

    def tag(self, row: sqlite3.Row) -> dict[str, Any]:
        """Choose keywords by the number of files in which each word occurs, known now that all texts are counted."""
        if self._files_with_terms is None:
            self._files_with_terms = self._work.files_with_terms()
            self._files = len(self._work.listed("queued", "completed"))
        with self._work.batch():
            self._work.set_tags(row["n"], words.tags(json.loads(row["terms"]), self._files_with_terms, self._files))
        return {}

    def embed(self, row: sqlite3.Row) -> dict[str, Any]:
        """Embed the chunks and store them in the index."""
        entry = _entry(row)
        # Stored before the work file is updated: after a crash in between, the same entry is stored again.
        self._index.add([entry])
        with self._work.batch():
            self._work.finish(row["n"], "completed")
        return {"message": f"{len(entry.spans)} chunks", "result": {"tags": entry.tags, "pages": entry.pages}}


def index_name(path: Path) -> str:
    """Return the name of a file in the index: its path, as text that SQLite can store."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


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
