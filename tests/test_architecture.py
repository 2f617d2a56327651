"""What the import contracts cannot say: no forbidden habit anywhere in the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))

FORBIDDEN = {
    r"import BaseHTTPMiddleware": "it hides disconnects from handlers; write pure ASGI",
    r"datetime\.(now|utcnow)\(": "the database's clock decides",
    r"\btime\.time\(": "the database's clock decides",
    r"\bOFFSET\b": "pages are keyset pages",
    r"CREATE (CONSTRAINT )?TRIGGER": "no row triggers: NOTIFY comes from code, after the commit",
}
ALLOWED = {
    # A remembered key is two seconds old at most; see the comment there.
    (r"datetime\.(now|utcnow)\(", "app/core/keys.py"),
    # The command line is a client and has no other clock; it asks for a job to be due somewhat later.
    (r"datetime\.(now|utcnow)\(", "app/cli/job_changes.py"),
    # Some vendors' lists are paged by offset, by contract; the walk before it is bounded.
    (r"\bOFFSET\b", "app/db/job_lists.py"),
    (r"\bOFFSET\b", "app/db/items.py"),
    # OFFSET 0, which skips nothing: it keeps the conditions of the outer statement out.
    (r"\bOFFSET\b", "app/db/jobs.py"),
    # X-RateLimit-Reset is a moment of the answer, in no relation to anything stored.
    (r"\btime\.time\(", "app/dialects/fifthelement/routes.py"),
}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_module_has_a_forbidden_habit(pattern: str) -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if "app/demo" not in str(path)
        and re.search(pattern, path.read_text())
        and (pattern, str(path.relative_to(ROOT))) not in ALLOWED
    ]
    assert not found, FORBIDDEN[pattern]


def test_states_are_listed_in_the_domain_alone() -> None:
    """A tuple or set of three or more states in code is a list that the next state would be missing from."""
    lists = re.compile(r"[\(\[\{](\s*JobState\.[A-Z_]+\s*,){3,}")
    found = [path.name for path in MODULES if lists.search(path.read_text()) and path.name != "states.py"]
    assert not found
