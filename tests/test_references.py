"""No text points to a file that is not there: links of pages, and paths in pages, docstrings and comments."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "bench", "docs", "jobtrack_client", "migrations", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

LINK = re.compile(r"\]\(([^()\s#]+)(?:#[^()\s]*)?\)")
CODE = re.compile(rf"\b(?:{'|'.join(FOLDERS)})/[\w./-]+\.py\b")
PAGE = re.compile(r"(?<![\w./-])[\w./-]+\.md\b")
DECISION = re.compile(r"\bdecisions/(\d{4})")
PLACEHOLDER = "NNNN"
"""Stands for the number of a file to come."""


def texts(path: Path) -> Iterator[str]:
    """What a file says to its readers: a page as a whole, of a module the docstrings and comments."""
    source = path.read_text()
    if path.suffix == ".md":
        yield source
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def missing(path: Path, text: str) -> Iterator[str]:
    """Name the files that a text mentions and that are not there. A page is named from the root, or from beside it."""
    yield from (name for name in CODE.findall(text) if PLACEHOLDER not in name and not (ROOT / name).exists())
    for name in PAGE.findall(text):
        if PLACEHOLDER not in name and not any((folder / name).exists() for folder in (ROOT, path.parent)):
            yield name
    yield from (f"decisions/{n}" for n in DECISION.findall(text) if not [*ROOT.glob(f"docs/decisions/{n}-*.md")])


def test_every_link_of_a_page_leads_to_a_file() -> None:
    links = [(path, link) for path in PAGES for link in LINK.findall(path.read_text()) if "://" not in link]
    assert links
    assert not [f"{path.relative_to(ROOT)}: {link}" for path, link in links if not (path.parent / link).exists()]


def test_every_file_that_a_text_mentions_is_there() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (*PAGES, *MODULES)
        for text in texts(path)
        for name in missing(path, text)
    ]
    assert not found, "\n".join(found)


def test_every_decision_is_listed_under_its_title() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    listed = re.findall(r"^\| \[(\d{4})\]\((.+?)\) \| (.+) \|$", index, re.MULTILINE)
    titles = [(path.name[:4], path.name, path.read_text().splitlines()[0]) for path in pages]
    assert titles == [(number, name, f"# {number}: {title}") for number, name, title in listed]
