"""What the import contracts cannot say: no forbidden habit anywhere in the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "app").rglob("*.py"))

# OFFSET 0 skips nothing: it keeps the planner from moving conditions into a subquery.
OFFSET = r"\bOFFSET (?!0\b)|\.offset\((?!literal_column\(\"0\"\)\))"
UNSHARED = r"_database\.(read|write)\("
FORBIDDEN = {
    r"import BaseHTTPMiddleware": "it hides disconnects from handlers; write pure ASGI",
    r"datetime\.(now|utcnow)\(": "the database's clock decides",
    r"\btime\.time\(": "the database's clock decides",
    OFFSET: "pages are keyset pages",
    UNSHARED: "what one request does alone has a share of the pool: `slow(project_id)` or `short(project_id)`",
    r"CREATE (CONSTRAINT )?TRIGGER": "no row triggers: NOTIFY comes from code, after the commit",
}
ALLOWED = {
    # Gathered, or one at a time: the look-ups of keys, the loops, the check of readiness.
    *(
        (UNSHARED, f"app/{name}.py")
        for name in (
            "core/browser_sessions",
            "core/health",
            "core/item_copies",
            "core/key_bound",
            "core/key_holds",
            "core/keys",
            "core/rescue",
            "live/body_cache",
            "live/change_feed",
            "live/event_stream",
            "live/feed_lag",
            "live/group_writer",
            "live/read_batcher",
            "live/sweep",
        )
    ),
    # The view for maintenance, which has a share already.
    (UNSHARED, "app/core/aging.py"),
    (UNSHARED, "app/core/retention.py"),
    # A remembered key is two seconds old at most; see the comment there.
    (r"datetime\.(now|utcnow)\(", "app/core/remembered_principals.py"),
    # Ages on a page are as of the answer; the page's script goes on from there.
    (r"datetime\.(now|utcnow)\(", "app/dashboard/formats.py"),
    # The doctor compares the two clocks.
    (r"datetime\.(now|utcnow)\(", "app/db/server.py"),
    # The command line is a client and has no other clock; it shows ages, and asks for jobs to be due later.
    (r"datetime\.(now|utcnow)\(", "app/cli/times.py"),
    # A person chooses that a pause or a key ends an hour from now.
    (r"datetime\.(now|utcnow)\(", "app/dashboard/ends.py"),
    # Some vendors' lists are paged by offset, by contract; the walk before it is bounded.
    (OFFSET, "app/db/job_walks.py"),
    (OFFSET, "app/db/item_pages.py"),
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


TEST_MODULES = sorted((ROOT / "tests").rglob("test_*.py"))
IMPORTED_TEST = re.compile(r"^(from|import) tests\.(\w+\.)*test_|^from tests(\.\w+)* import .*\btest_", re.MULTILINE)


def test_no_test_module_is_imported() -> None:
    """What several test modules share stands in a conftest or in a helper module."""
    assert not [str(path.relative_to(ROOT)) for path in TEST_MODULES if IMPORTED_TEST.search(path.read_text())]


def test_no_test_module_has_more_than_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in TEST_MODULES}
    assert not {name: lines for name, lines in lengths.items() if lines > 300}
