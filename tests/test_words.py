"""The countable part of plain English: how docstrings begin, and which names are not used (CONTRIBUTING, Words)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for folder in ("app", "jobtrack_client") for path in (ROOT / folder).rglob("*.py"))
VAGUE_OPENING = re.compile(r"(Give|Say|Tell|Let|Make)s?\b")
VAGUE_PARAMETERS = {"asked", "wanted", "told", "mine", "made", "one"}
REPLACED = {
    # One name for what caches bodies.
    *(
        "Renderings",
        "Rendering",
        "Bodies",
        "Freshness",
        "doubt",
        "dressed",
        "good_until",
        "looks",
        "renderings",
        "bodies",
    ),
    "Known",
    # One word for a claim on every floor.
    *("Claimers", "IdleClaimer", "Offer", "offered", "offer", "claimers", "claiming", "Place", "Taken"),
    # One word for creating a job.
    *("Creation", "creations", "new_jobs"),
    *("event_feed", "history", "streaming"),
    *("Statuses", "statuses", "waiting"),
    *("claim_keys", "Keys", "JobKey", "Note", "recall", "recall_one", "remember"),
    *("turn", "speak", "Begun", "Extent", "weigh", "settle", "put_down", "_by_and_by", "_word", "_told"),
    *("HotRoutes", "HotRoute", "ParsedRequest", "hot", "is_hot", "moves", "replays", "reporting", "worker_calls"),
}
"""Names that were replaced by the field's words."""
ALLOWED = {
    # Immuta's API has an endpoint and a document of this name.
    ("app/dialects/immuta/translate.py", "statuses"),
    ("app/dialects/immuta/wire.py", "Statuses"),
    # The client's requests of a worker. The replaced word was for the server's batch of them, core/batches/calls.
    ("jobtrack_client/worker_calls.py", "worker_calls"),
    # Why a job waits, as the API calls it. The replaced word was for the requests that wait.
    *((f"app/{place}/waiting.py", "waiting") for place in ("api/jobs", "core", "db", "domain")),
}


def documented(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The docstrings of a module with their lines, those of attributes too."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else ():
            value = child.value if isinstance(child, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield child.lineno, value.value.strip()


def names(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names of a module, its classes and its functions, with their parameters."""
    yield 1, path.stem
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.lineno, node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
            for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                yield argument.lineno, argument.arg


@pytest.fixture(scope="module")
def trees() -> dict[str, tuple[Path, ast.AST]]:
    return {str(path.relative_to(ROOT)): (path, ast.parse(path.read_text())) for path in MODULES}


def test_no_docstring_begins_with_a_vague_verb(trees: dict[str, tuple[Path, ast.AST]]) -> None:
    found = [
        f"{name}:{line}: {text.splitlines()[0]}"
        for name, (_, tree) in trees.items()
        for line, text in documented(tree)
        if VAGUE_OPENING.match(text)
    ]
    assert not found, "\n".join(found)


def test_no_parameter_is_a_riddle(trees: dict[str, tuple[Path, ast.AST]]) -> None:
    found = [
        f"{name}:{argument.lineno}: {argument.arg}"
        for name, (_, tree) in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        if argument.arg in VAGUE_PARAMETERS
    ]
    assert not found, "\n".join(found)


def test_no_replaced_name_comes_back(trees: dict[str, tuple[Path, ast.AST]]) -> None:
    found = [
        f"{name}:{line}: {word}"
        for name, (path, tree) in trees.items()
        for line, word in names(path, tree)
        if word in REPLACED and (name, word) not in ALLOWED
    ]
    assert not found, "\n".join(found)


def test_every_module_has_at_most_250_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: lines for name, lines in lengths.items() if lines > 250}
