"""The table of transitions holds what docs/lifecycle.md says of it."""

import pytest

from app.domain.states import LEASED, LIVE, TERMINAL, TRANSITIONS, Guard, JobEvent, JobState, next_state


def test_five_states_are_terminal() -> None:
    assert {str(state) for state in TERMINAL} == {
        "completed",
        "completed_with_failures",
        "failed",
        "cancelled",
        "expired",
    }


def test_cancelling_ends_only_in_cancelled() -> None:
    targets = {row.target for row in TRANSITIONS if JobState.CANCELLING in row.sources}
    assert targets == {JobState.CANCELLING, JobState.CANCELLED}


@pytest.mark.parametrize("state", sorted(TERMINAL))
@pytest.mark.parametrize("event", list(JobEvent))
def test_nothing_happens_to_a_terminal_job(event: JobEvent, state: JobState) -> None:
    assert next_state(event, state, set(Guard)) is None


def test_every_leased_state_can_lose_its_lease_and_every_live_one_can_be_cancelled() -> None:
    assert {state for state in LIVE if next_state(JobEvent.LEASE_RAN_OUT, state)} == LEASED
    assert all(next_state(JobEvent.CANCEL, state) for state in LIVE)
    assert all(next_state(JobEvent.DEADLINE, state) for state in LIVE)
