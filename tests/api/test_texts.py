"""Answers put together from text are those that the documents would give."""

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from app.api.jobs.texts import CreatedTexts
from app.api.jobs.translate import created_document
from app.api.translate import LARGE
from app.api.workers.texts import OutcomeTexts
from app.api.workers.translate import outcome_document
from app.domain.ids import new_id
from app.domain.item import Counts
from app.domain.job import Created, Documents, Eta, Job, JobFailure, Lease, Retry
from app.domain.json_text import JsonText
from app.domain.states import JobState
from app.domain.worker_call import Ended, Reported

NOW = datetime(2026, 11, 27, 12, 0, 0, 123_456, tzinfo=UTC)
TOKEN = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
PLAIN = Job(
    project_id=TOKEN, id=TOKEN, type="t", queue="default", engine=None, collection=None, state=JobState.PENDING,
    stage=None, progress=0.0, counts=Counts(), message=None, eta=None, error=None, labels={}, priority=0, attempt=0,
    max_attempts=3, retry=Retry(), original_job_id=None, worker=None, version=1, created_at=NOW, updated_at=NOW,
    status_changed_at=NOW, scheduled_at=NOW, expires_at=None, started_at=None, completed_at=None, cancelled_at=None,
    cancelled_by=None, expected_seconds=None, overdue=False, documents=Documents(),
)  # fmt: skip
TRICKY = '"payload":null,"id":"00000000-0000-0000-0000-000000000000" \\ é \U0001f600 \x1f'
OTHERS: dict[str, Any] = {
    "project_id": new_id(), "id": new_id(), "type": TRICKY, "queue": TRICKY, "engine": "e", "collection": "c",
    "state": JobState.DISPATCHED, "stage": TRICKY, "progress": 1.5, "counts": Counts(3, 1, 1, 1), "message": TRICKY,
    "eta": Eta(1.0, 0.5, 2.0), "error": JobFailure("c", TRICKY), "labels": {"payload": "null", "b": TRICKY},
    "priority": -5, "attempt": 1, "max_attempts": 7, "retry": Retry(2.0), "original_job_id": new_id(), "worker": "w",
    "version": 2, "created_at": NOW + timedelta(seconds=1), "updated_at": NOW + timedelta(seconds=2),
    "status_changed_at": NOW + timedelta(seconds=3), "scheduled_at": NOW + timedelta(days=1),
    "expires_at": NOW + timedelta(days=2), "started_at": NOW, "completed_at": NOW, "cancelled_at": NOW,
    "cancelled_by": "c", "expected_seconds": 60, "overdue": True,
    "documents": Documents(JsonText('{"payload":null,"é":[1.0]}')),
}  # fmt: skip
DOCUMENTS = (
    Documents(JsonText("[]")), Documents({"a": "é", "n": 1e3}), Documents(None, {"r": 1}, [2]), Documents(0, False, ""),
    Documents(JsonText('"\\"payload\\":null"'), {"r": 1}), None,
)  # fmt: skip
LEASES = (None, Lease(TOKEN, 30.0), Lease(TOKEN, None))
SHOWN = (LARGE, frozenset({"payload"}), frozenset[str]())


def creations() -> Iterator[Created]:
    """A plain job between jobs that differ from it in one field or two, and with all documents and leases."""
    for names in (*combinations(OTHERS, 1), *combinations(OTHERS, 2)):
        changed = replace(PLAIN, **{name: OTHERS[name] for name in names})
        yield from (Created(PLAIN), Created(changed), Created(replace(changed, id=new_id())))
    yield Created(replace(PLAIN, labels={"a": "1", "b": "2"}))
    yield Created(replace(PLAIN, labels={"b": "2", "a": "1"}))
    yield Created(replace(PLAIN, **OTHERS))
    for lease in LEASES:
        for documents in DOCUMENTS:
            for job in (PLAIN, replace(PLAIN, engine="e")):
                yield from (
                    Created(replace(job, documents=documents), lease, replayed=again) for again in (False, True)
                )
    # So many that differ from the one before that no more are compared.
    yield from (Created(replace(PLAIN, priority=n)) for n in range(20))
    yield from (Created(PLAIN), Created(PLAIN))


@pytest.mark.parametrize("shown", SHOWN, ids=["all", "payload", "none"])
def test_new_jobs_are_written_as_their_documents_are(shown: frozenset[str]) -> None:
    assert OTHERS.keys() == {field.name for field in fields(Job)}
    texts = CreatedTexts(shown)
    for created in creations():
        assert texts.write(created) == to_json(created_document(created, shown))


def test_outcomes_are_written_as_their_documents_are() -> None:
    texts = OutcomeTexts()
    lengths = (None, 0.0, 30.0, 29.999)
    outcomes: list[Reported | Ended] = [Reported(state, Lease(TOKEN, left)) for state in JobState for left in lengths]
    jobs = [Ended(created.job, "w") for created in creations()]
    for outcome in [*outcomes, *jobs, *outcomes]:
        assert texts.write(outcome) == to_json(outcome_document(outcome))
