"""Jobs as the core would hand them over, one for each state, with nothing left to chance."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.domain.item import Counts
from app.domain.job import Documents, Job, JobFailure, Retry
from app.domain.states import TERMINAL, JobState

JOB_ID = UUID("01997b2e-6a40-7c1b-9d0a-3f6f1f5c2a10")
RERUN_ID = UUID("01997b9c-4a00-7d2e-8f11-0b9d2c7e4f21")
CREATED_AT = datetime(2025, 1, 20, 10, 0, 0, 999_999, tzinfo=UTC)
RESULT = {"documentsProcessed": 50, "errors": 0}

_PROGRESS = {JobState.PENDING: 0.0, JobState.DISPATCHED: 0.0, JobState.RUNNING: 42.5, JobState.COMPLETED: 100.0}


def sample(state: JobState, **fields: Any) -> Job:
    """A job in a state, with what such a job has; `fields` replace any of it."""
    ended = CREATED_AT + timedelta(minutes=5)
    whole = state in {JobState.COMPLETED, JobState.COMPLETED_WITH_FAILURES}
    failed_items = int(state is JobState.COMPLETED_WITH_FAILURES)
    job = Job(
        project_id=UUID(int=1),
        id=JOB_ID,
        type="document_processing",
        queue="default",
        engine=None,
        collection=None,
        state=state,
        stage=None,
        progress=100.0 if whole else _PROGRESS.get(state, 60.0),
        counts=Counts(total=50, processed=50 - failed_items, failed=failed_items) if whole else Counts(),
        message=None,
        eta=None,
        error=JobFailure("parse_failed", "page 3 is no page") if state is JobState.FAILED else None,
        labels={},
        priority=0,
        attempt=0 if state is JobState.PENDING else 1,
        max_attempts=3,
        retry=Retry(),
        original_job_id=None,
        worker=None,
        version=1,
        created_at=CREATED_AT,
        updated_at=CREATED_AT,
        status_changed_at=CREATED_AT,
        scheduled_at=CREATED_AT,
        expires_at=None,
        started_at=None,
        completed_at=ended if state in TERMINAL else None,
        cancelled_at=None,
        cancelled_by=None,
        expected_seconds=None,
        overdue=False,
        documents=Documents(result=RESULT if whole else None),
    )
    return replace(job, **fields)
