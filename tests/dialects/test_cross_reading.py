"""Any job reads through every dialect, in the words that the contracts bind; the page `docs/dialects.md` says the same.

To write the page's table anew: `.venv/bin/python -m tests.dialects.test_cross_reading`.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

import httpx
import pytest

from app.dialects import names
from app.domain.states import TERMINAL, JobState
from tests.dialects.jobs_in_states import Maker

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
BEGIN, END = "<!-- states: written by tests/dialects/test_cross_reading.py -->", "<!-- end of states -->"

ORDER = ("docent", "captain", "fifthelement", "immuta", "llamacloud")
WORDS = {
    JobState.PENDING: ("pending", "pending", "pending", "created", "pending"),
    JobState.DISPATCHED: ("running", "running", "running", "active", "dispatched"),
    JobState.RUNNING: ("running", "running", "running", "active", "running"),
    JobState.RETRYING: ("pending", "running", "running", "retry", "running"),
    JobState.CANCELLING: ("cancelling", "cancelled", "running", "active", "cancelled"),
    JobState.COMPLETED: ("completed", "completed", "completed", "completed", "completed"),
    JobState.COMPLETED_WITH_FAILURES: (
        "completed",
        "completed_with_failures",
        "completed",
        "completed",
        "completed",
    ),
    JobState.FAILED: ("canceled", "failed", "failed", "failed", "failed"),
    JobState.CANCELLED: ("canceled", "cancelled", "cancelled", "cancelled", "cancelled"),
    JobState.EXPIRED: ("canceled", "failed", "failed", "expired", "failed"),
}
"""The vendors' words for each state, copied by hand from their contracts: the code is held against it."""

FINAL = {
    "docent": {"completed", "canceled"},
    "captain": {"completed", "completed_with_failures", "failed", "cancelled"},
    "fifthelement": {"completed", "failed", "cancelled"},
    "immuta": {"completed", "failed", "expired", "cancelled"},
    "llamacloud": {"completed", "failed", "cancelled"},
}
"""The words after which a vendor's client stops asking."""

Reader = Callable[[httpx.AsyncClient, str], Awaitable[str]]


async def docent(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.get(f"/rest/any/agent_runs/jobs/{job_id}")).json()["status"])


async def captain(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.get(f"/v2/jobs/{job_id}")).json()["status"])


async def fifthelement(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.get(f"/v1/api/jobs/{job_id}")).json()["data"]["status"])


async def immuta(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.post("/jobs/statuses", json={"jobIds": [job_id]})).json()[job_id]["state"])


async def llamacloud(api: httpx.AsyncClient, job_id: str) -> str:
    return str((await api.get(f"/api/v1/beta/batch-processing/{job_id}")).json()["job"]["status"])


READERS: dict[str, Reader] = {one.__name__: one for one in (docent, captain, fifthelement, immuta, llamacloud)}


def states_of(name: str) -> dict[JobState, str]:
    """The table that a dialect translates by."""
    found: dict[JobState, str] = import_module(f"app.dialects.{name}.translate").STATES
    return found


def table() -> str:
    """The page's table, from the tables that the code translates by."""
    titles = {name: import_module(f"app.dialects.{name}").DIALECT.title.partition(":")[0] for name in ORDER}
    lines = [
        BEGIN,
        f"| State | {' | '.join(titles[name] for name in ORDER)} |",
        f"|---|{'---|' * len(ORDER)}",
        *(f"| `{state}` | {' | '.join(f'`{states_of(name)[state]}`' for name in ORDER)} |" for state in JobState),
        END,
    ]
    return "\n".join(lines)


def test_these_are_all_dialects() -> None:
    assert set(ORDER) == set(READERS) == set(names())


@pytest.mark.parametrize("name", ORDER)
def test_code_says_what_the_contracts_bind(name: str) -> None:
    assert states_of(name) == {state: words[ORDER.index(name)] for state, words in WORDS.items()}


@pytest.mark.parametrize("name", ORDER)
def test_client_stops_asking_only_when_nothing_can_change_any_more(name: str) -> None:
    """A vendor whose cancel is immediate shows its word early, which is why `cancelling` ends in nothing else."""
    for state, word in states_of(name).items():
        early = state is JobState.CANCELLING and word == states_of(name)[JobState.CANCELLED]
        assert (word in FINAL[name]) is (state in TERMINAL or early), state


async def test_one_job_in_every_state_reads_through_every_dialect(api: httpx.AsyncClient) -> None:
    for state, job_id in (await Maker(api).all_states()).items():
        read = [await READERS[name](api, job_id) for name in ORDER]
        assert tuple(read) == WORDS[state], state


def test_page_says_what_the_code_says() -> None:
    assert table() in PAGE.read_text()


if __name__ == "__main__":
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + table() + rest.partition(END)[2])
