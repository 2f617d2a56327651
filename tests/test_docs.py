"""The lifecycle's page is written from the lifecycle's table.

To write it anew: `.venv/bin/python -m tests.test_docs`.
"""

import inspect
import re
from pathlib import Path

from app.domain import states
from app.domain.states import TERMINAL, TRANSITIONS, JobState

PAGE = Path(__file__).parents[1] / "docs" / "lifecycle.md"


def meanings() -> dict[str, str]:
    """What `JobState` says of each of its members."""
    source = inspect.getsource(states.JobState)
    return dict(re.findall(r'= "(\w+)"\n\s+"""(.+?)"""', source))


def page() -> str:
    said = meanings()
    lines = [
        "# The life of a job",
        "",
        "Written from `app/domain/states.py`, from which the SQL, the CHECK constraints and the tests are made too.",
        "",
        "| State | Meaning | Terminal |",
        "|---|---|---|",
        *(f"| `{state}` | {said[state]} | {'yes' if state in TERMINAL else ''} |" for state in JobState),
        "",
        "| Event | From | If | To |",
        "|---|---|---|---|",
        *(
            f"| {row.event} | {', '.join(row.sources)} | {(row.guard or '').replace('_', ' ')} | {row.target} |"
            for row in TRANSITIONS
        ),
        "",
        "Of several rows for one event and state the first whose condition holds applies. Any other event in any other",
        "state changes nothing and is answered with 409 and the job as it is. A rerun makes a new job and leaves the",
        "old one as it was.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> pending",
        *(
            f"    {source} --> {row.target}: {row.event}"
            for row in TRANSITIONS
            for source in row.sources
            if source is not row.target
        ),
        *(f"    {state} --> [*]" for state in JobState if state in TERMINAL),
        "```",
        "",
    ]
    return "\n".join(lines)


def test_the_page_of_the_lifecycle_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page()


def test_every_state_says_what_it_means() -> None:
    assert set(meanings()) == set(JobState)


if __name__ == "__main__":
    PAGE.write_text(page())
