"""The lifecycle's page is written from the lifecycle's table.

To write it anew: `.venv/bin/python -m tests.test_docs`.
"""

import inspect
import re
from dataclasses import fields
from pathlib import Path

from app.domain import states
from app.domain.job import CANCEL_GRACE_SECONDS
from app.domain.states import TERMINAL, TRANSITIONS, Due, Effects, JobState

PAGE = Path(__file__).parents[1] / "docs" / "lifecycle.md"


def meanings() -> dict[str, str]:
    """What `JobState` says of each of its members."""
    source = inspect.getsource(states.JobState)
    return dict(re.findall(r'= "(\w+)"\n\s+"""(.+?)"""', source))


EFFECTS = {
    "spends_token": "spends the token",
    "returns_attempt": "the attempt is not counted",
    "stamps_cancel": "stamps the cancel",
    "grants_grace": f"a lease without an end gets {CANCEL_GRACE_SECONDS} s",
    "clears_error": "clears the error",
    "finishes": "progress 100",
}
DUE = {Due.NOW: "due now", Due.AFTER_BACKOFF: "due after the back-off"}


def described(effects: Effects) -> str:
    """What a row does beside changing the state, in words."""
    words = [text for name, text in EFFECTS.items() if getattr(effects, name)]
    if effects.due:
        words.append(DUE[effects.due])
    if effects.recorded_as:
        words.append(f"recorded as `job.{effects.recorded_as}`")
    return ", ".join(words)


SHORT = """
# The life of a job

A job waits, a worker takes it, and it ends in one of three ways.

```mermaid
stateDiagram-v2
    direction LR
    [*] --> pending: created
    pending --> running: claimed
    running --> pending: failed or lost, will be retried
    running --> completed
    running --> failed: gave up
    pending --> cancelled
    running --> cancelled
```

That is all that most callers need. Behind it stand ten states, so that each answer is exact: whether a claimed job's
worker has reported yet, whether a waiting job was tried before, whether an ended one has failed files or missed its
deadline.
""".strip()


OVERDUE = """
## Overdue

`expected_seconds`, of a job or else of its queue when the job is created, says how long an attempt should take. It is
counted from the attempt's start, the claim. When a worker holds the job longer, maintenance sets `overdue` to true
within about a second, once: with a new version and one event `job.overdue`. The state stays as it is, and nothing else
happens to the job; a deadline is `expires_at`.

The next attempt clears the mark, and may get its own. Until then a job that waits again keeps it, and a job that has
ended keeps what its last attempt had. A worker that comes back after its lease ran out is measured from the start of
the same attempt. A rerun keeps `expected_seconds` and begins without the mark.
""".strip()


def page() -> str:
    said = meanings()
    lines = [
        *SHORT.splitlines(),
        "",
        "Written from `app/domain/states.py`, from which the SQL, the CHECK constraints and the tests are derived too.",
        "",
        "| State | Meaning | Terminal |",
        "|---|---|---|",
        *(f"| `{state}` | {said[state]} | {'yes' if state in TERMINAL else ''} |" for state in JobState),
        "",
        "| Event | From | If | To | Effects |",
        "|---|---|---|---|---|",
        *(
            f"| {row.event} | {', '.join(row.sources)} | {(row.guard or '').replace('_', ' ')} | {row.target} "
            f"| {described(row.effects)} |"
            for row in TRANSITIONS
        ),
        "",
        "Of several rows for one event and state the first whose condition holds applies. Any other event in any other",
        "state changes nothing and is answered with 409 and the job as it is. Every event that ends a job also ends",
        "its run and sets `completed_at`; a claim counts an attempt and issues a new token. A rerun creates a new job",
        "and leaves the old one as it was.",
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
        *OVERDUE.splitlines(),
        "",
    ]
    return "\n".join(lines)


def test_every_effect_is_described() -> None:
    assert set(EFFECTS) | {"due", "recorded_as"} == {field.name for field in fields(Effects)}
    assert set(DUE) == set(Due)


def test_the_page_of_the_lifecycle_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page()


def test_every_state_says_what_it_means() -> None:
    assert set(meanings()) == set(JobState)


if __name__ == "__main__":
    PAGE.write_text(page())
