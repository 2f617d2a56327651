"""Immuta's words for every state, and its shapes."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest

from app.dialects.immuta import translate, wire
from app.domain.errors import (
    ForbiddenError,
    InvalidError,
    JobtrackError,
    MalformedError,
    NotFoundError,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from app.domain.field_error import FieldError
from app.domain.job import Documents
from app.domain.principal import Principal, Scope
from app.domain.states import TERMINAL, JobState
from tests.dialects.samples import sample

GOLDEN = Path(__file__).parent / "golden" / "immuta"

WORDS = {
    "pending": "created",
    "dispatched": "active",
    "running": "active",
    "retrying": "retry",
    "cancelling": "active",
    "completed": "completed",
    "completed_with_failures": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def test_every_state_has_its_exact_word() -> None:
    assert {state.value: word for state, word in translate.STATES.items()} == WORDS
    assert set(translate.STATES) == set(JobState)
    assert set(WORDS.values()) == set(get_args(wire.State.__value__))


@pytest.mark.parametrize("state", JobState)
def test_final_words_are_final_states(state: JobState) -> None:
    assert (translate.STATES[state] in {"completed", "expired", "cancelled", "failed"}) is (state in TERMINAL)


def test_jobs_of_every_state_read_as_recorded() -> None:
    jobs = [sample(state, id=UUID(int=n)) for n, state in enumerate(JobState, 1)]
    shown = {key: job.model_dump(by_alias=True) for key, job in translate.statuses(jobs).items()}
    assert shown == golden("statuses.json")
    assert all(key == entry["id"] for key, entry in shown.items())


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (None, None),
        ("plain text", "plain text"),
        ("", ""),
        ({"a": [1, 2.5, None]}, '{"a":[1,2.5,null]}'),
        ([], "[]"),
        (0, "0"),
        (False, "false"),
        ({"wörd": "日本"}, '{"wörd":"日本"}'),
    ],
)
def test_output_is_text_or_null(result: object, output: str | None) -> None:
    assert translate.output_of(sample(JobState.COMPLETED, documents=Documents(result=result))) == output


def test_output_tells_which_items_failed_even_without_a_result() -> None:
    job = sample(JobState.COMPLETED_WITH_FAILURES)
    for documents in (None, Documents(result=None)):
        told = json.loads(translate.output_of(replace(job, documents=documents)) or "")
        assert told == {"result": None, "counts": {"total": 50, "processed": 49, "failed": 1, "skipped": 0}}


@pytest.mark.parametrize(
    ("expires_at", "shown"),
    [
        (None, "2199-12-31T23:59:59.000Z"),
        (datetime(2027, 1, 20, 10, 0, 0, 500_999, tzinfo=UTC), "2027-01-20T10:00:00.500Z"),
    ],
)
def test_a_log_in_gives_the_key_back_as_the_token(expires_at: datetime | None, shown: str) -> None:
    caller = Principal(UUID(int=1), "k", "a key", frozenset({Scope.READ}), expires_at=expires_at)
    answer = translate.authenticated(caller, "the key")
    assert answer.model_dump(by_alias=True) == {"authenticated": True, "token": "the key", "tokenExpiration": shown}


@pytest.mark.parametrize(
    ("error", "status", "phrase"),
    [
        (MalformedError("no"), 400, "Bad Request"),
        (UnauthorizedError("no"), 401, "Unauthorized"),
        (ForbiddenError("no"), 403, "Forbidden"),
        (NotFoundError("no"), 404, "Not Found"),
        (InvalidError("no"), 422, "Unprocessable Entity"),
        (ThrottledError("no", 1.0), 429, "Too Many Requests"),
        (UnavailableError("no"), 503, "Service Unavailable"),
        (JobtrackError("no"), 500, "Internal Server Error"),
    ],
)
def test_every_error_has_its_status(error: JobtrackError, status: int, phrase: str) -> None:
    shown = translate.error_body(error).model_dump(by_alias=True)
    assert shown["statusCode"] == status
    assert (shown["error"], shown["message"], "validation" in shown) == (phrase, "no", status == 422)


def test_errors_read_as_recorded() -> None:
    wrong = InvalidError([FieldError("/jobIds", "missing", "Field required")])
    said = {
        "unauthorized": translate.error_body(UnauthorizedError("No key.")).model_dump(by_alias=True),
        "invalid": translate.error_body(wrong).model_dump(by_alias=True),
    }
    assert said == golden("errors.json")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"jobIds": None},
        {"jobIds": "one"},
        {"jobIds": [1]},
        {"jobIds": ["x"] * 1001},
        {"jobIds": [], "wait": -2},
        {"jobIds": [], "wait": 1.5},
        {"jobIds": [], "wait": True},
        {"jobIds": [], "wait": None},
        {"jobIds": [], "wait": 2**31},
        {"jobIds": [], "wait": 1, "pollInterval": 0},
        {"jobIds": [], "pollInterval": "1"},
    ],
)
def test_wrong_payloads_are_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        wire.StatusesRequest.model_validate(payload)


@pytest.mark.parametrize(
    ("payload", "wait", "poll"),
    [
        ({"jobIds": []}, 0, 1),
        ({"jobIds": ["x"] * 1000, "wait": -1, "pollInterval": 60, "unknown": 1}, -1, 60),
        ({"jobIds": [], "wait": 2**31 - 1, "pollInterval": 2**31 - 1}, 2**31 - 1, 2**31 - 1),
    ],
)
def test_right_payloads_are_taken(payload: dict[str, Any], wait: int, poll: int) -> None:
    asked = wire.StatusesRequest.model_validate(payload)
    assert (asked.wait, asked.poll_interval) == (wait, poll)
