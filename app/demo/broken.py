"""Three broken files for the demo to fail at, each in the way in which such files break."""

from __future__ import annotations

import gzip
from pathlib import Path

_LINE = b"2026-01-01 00:00:00 INFO a worker claimed the job\n"


def write_broken(directory: Path) -> None:
    """Write a text with bytes of something else in it, a PDF that was cut off, and half of a compressed log."""
    directory.mkdir(parents=True, exist_ok=True)
    packed = gzip.compress(_LINE * 1000)
    contents = {
        "notes.txt": b"Notes of the meeting\n" + bytes(range(32)) * 8,
        "report.pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n",
        "server.log.gz": packed[: len(packed) // 2],
    }
    for name, content in contents.items():
        (directory / name).write_bytes(content)
