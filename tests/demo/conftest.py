"""A small folder with one of everything."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    (root / "docs").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "__pycache__").mkdir()
    (root / ".git" / "config.txt").write_text("not looked at")
    (root / "__pycache__" / "a.py").write_text("not looked at")
    (root / "notes.txt").write_text("A worker holds the lease of a job. " * 200)
    (root / "docs" / "guide.md").write_text("# Guide\n\nClaims, reports and heartbeats.")
    (root / "docs" / "page.html").write_text("<p>Dashboard with a table of jobs</p>")
    (root / "empty.py").write_text("")
    (root / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (root / "binary.txt").write_bytes(b"\x00\x01\x02")
    (root / "image.png").write_bytes(b"\x89PNG")
    (root / "large.txt").write_text("x" * 20_000)
    os.mkfifo(root / "pipe.txt")
    (root / "link.txt").symlink_to(root / "notes.txt")
    return root
