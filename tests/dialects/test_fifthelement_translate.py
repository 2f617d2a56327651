"""Fifth Element's words for every state, and its shapes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest

from app.dialects.fifthelement import translate, wire
from app.domain.errors import (
    AlreadyTerminalError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    InvalidTransitionError,
    JobtrackError,
    MalformedError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from app.domain.field_error import FieldError
from app.domain.job import Documents
from app.domain.states import TERMINAL, JobState
from tests.dialects.samples import JOB_ID, RERUN_ID, sample

GOLDEN = Path(__file__).parent / "golden" / "fifthelement"

WORDS = {
    "pending": "pending",
    "dispatched": "running",
    "running": "running",
    "retrying": "running",
    "cancelling": "running",
    "completed": "completed",
    "completed_with_failures": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "failed",
}


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def body(answer: wire.JobAnswer | wire.RerunAnswer | wire.ErrorAnswer) -> Any:
    return json.loads(answer.model_dump_json(by_alias=True))


def test_every_state_has_its_exact_word() -> None:
    assert {state.value: word for state, word in translate.STATES.items()} == WORDS
    assert set(translate.STATES) == set(JobState)
    assert set(WORDS.values()) == set(get_args(wire.Status.__value__))


@pytest.mark.parametrize("state", JobState)
def test_the_documented_loop_ends_exactly_when_the_job_has(state: JobState) -> None:
    assert (translate.STATES[state] in {"completed", "failed", "cancelled"}) is (state in TERMINAL)


@pytest.mark.parametrize("state", JobState)
def test_a_job_reads_as_recorded(state: JobState) -> None:
    assert body(translate.job_answer(sample(state))) == golden(f"job.{state}.json")


def test_a_completed_job_is_the_page_s_own_example() -> None:
    # Whole percents have no fraction on the page: the text itself is compared, since 100 == 100.0 in Python.
    answer = translate.job_answer(sample(JobState.COMPLETED))
    assert answer.model_dump_json(by_alias=True) == json.dumps(wire.JOB_EXAMPLE, separators=(",", ":"))


def test_a_rerun_reads_as_recorded() -> None:
    new = sample(JobState.PENDING, id=RERUN_ID, created_at=datetime(2025, 1, 20, 12, 0, 0, 1, tzinfo=UTC))
    assert body(translate.rerun_answer(new, JOB_ID)) == golden("rerun.json") == wire.RERUN_EXAMPLE


@pytest.mark.parametrize("value", [[1, 2], "done", 7, False, 0.5])
def test_a_result_that_is_no_object_stands_under_value(value: object) -> None:
    job = sample(JobState.COMPLETED, documents=Documents(result=value))
    assert translate.result_of(job) == {"value": value}


def test_a_result_that_came_to_a_cancelled_job_is_kept() -> None:
    job = sample(JobState.CANCELLED, documents=Documents(result={"half": True}))
    assert translate.result_of(job) == {"half": True}


def test_failures_of_items_show_beside_any_result() -> None:
    tally = {"total": 50, "processed": 49, "failed": 1, "skipped": 0}
    job = sample(JobState.COMPLETED_WITH_FAILURES)
    assert translate.result_of(replace(job, documents=None)) == {"counts": tally}
    assert translate.result_of(replace(job, documents=Documents(result=[1]))) == {"value": [1], "counts": tally}


@pytest.mark.parametrize("at", [datetime(2025, 1, 20, 23, 59, 59, 999_999, tzinfo=UTC)])
def test_times_are_whole_seconds_of_utc_and_never_in_the_future(at: datetime) -> None:
    assert translate.timestamp(at) == "2025-01-20T23:59:59Z"
    assert translate.timestamp(at.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2025-01-20T23:59:59Z"


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidError("no"), 400, "ValidationError"),
        (MalformedError("no"), 400, "ValidationError"),
        (InvalidTransitionError("no"), 400, "ValidationError"),
        (AlreadyTerminalError("no"), 400, "ValidationError"),
        (ConflictError("no"), 400, "ValidationError"),
        (UnauthorizedError("no"), 401, "UnauthorizedError"),
        (ForbiddenError("no"), 403, "ForbiddenError"),
        (NotFoundError("no"), 404, "NotFoundError"),
        (ThrottledError("no", 1.0), 429, "RateLimitError"),
        (UnavailableError("no"), 503, "ServiceUnavailableError"),
        (JobtrackError("no"), 500, "InternalServerError"),
    ],
)
def test_every_error_has_its_status_and_name(error: JobtrackError, status: int, name: str) -> None:
    assert translate.status_code(error) == status
    assert body(translate.error_answer(error))["error"]["name"] == name


def test_errors_read_as_recorded() -> None:
    live = InvalidTransitionError("The job is still live.", sample(JobState.RETRYING))
    wrong = InvalidError([FieldError("?limit", "int_parsing", "no integer")])
    said = {
        "not_found": body(translate.error_answer(NotFoundError("There is no such job."))),
        "invalid_transition": body(translate.error_answer(live)),
        "invalid": body(translate.error_answer(wrong)),
    }
    assert said == golden("errors.json")
