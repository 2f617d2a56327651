"""Pure functions that convert between the domain and Docent's models."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, get_args
from urllib.parse import quote

from app.dialects.docent import wire
from app.domain.ids import new_id
from app.domain.job import Job, NewJob
from app.domain.principal import Principal
from app.domain.states import JobState

STATES: Final[dict[JobState, wire.Status]] = {
    JobState.PENDING: "pending",
    JobState.DISPATCHED: "running",
    JobState.RUNNING: "running",
    JobState.RETRYING: "pending",
    JobState.CANCELLING: "cancelling",
    JobState.COMPLETED: "completed",
    JobState.COMPLETED_WITH_FAILURES: "completed",
    # Every failure is `canceled`: the client polls forever on any other status.
    JobState.FAILED: "canceled",
    JobState.CANCELLED: "canceled",
    JobState.EXPIRED: "canceled",
}
"""The vendor's status for each state; the table in docs/dialects.md is generated from it."""

UPLOAD_TYPE: Final[wire.JobType] = "agent_run_ingest_job"
"""The type of uploaded jobs, also shown for a type that the vendor does not have."""


def new_job(collection_id: str) -> NewJob:
    """Return the job that an upload creates."""
    return NewJob(id=new_id(), type=UPLOAD_TYPE, collection=collection_id)


def visible(job: Job, collection_id: str) -> bool:
    """Whether a job is visible in a collection: a job without a collection is visible in all."""
    return job.collection in (None, collection_id)


def job_status(job: Job) -> wire.JobStatus:
    """Return a job."""
    failure = job.failure
    return wire.JobStatus(**_info(job), error_message=None if failure is None else failure.message)


def batch_status(jobs: Iterable[Job], collection_id: str) -> wire.BatchStatus:
    """Return the jobs that are visible in a collection."""
    return wire.BatchStatus(jobs=[job_status(job) for job in jobs if visible(job, collection_id)])


def job_list(jobs: Iterable[Job]) -> wire.JobList:
    """Return a list of jobs."""
    infos = [wire.JobInfo(**_info(job)) for job in jobs]
    return wire.JobList(jobs=infos, count=len(infos))


def _info(job: Job) -> dict[str, Any]:
    return {
        "job_id": str(job.id),
        "status": STATES[job.state],
        "type": job.type if job.type in get_args(wire.JobType.__value__) else UPLOAD_TYPE,
        "created_at": timestamp(job.created_at),
        "collection_id": job.collection,
    }


def enqueued(job: Job, collection_id: str) -> wire.Enqueued:
    """Return the response to an upload."""
    return wire.Enqueued(
        job_id=str(job.id),
        status="enqueued",
        status_url=f"/rest/{quote(collection_id, safe='')}/agent_runs/jobs/{job.id}",
        message="The upload is queued for ingestion.",
    )


def key_test(principal: Principal) -> wire.KeyTest:
    """Return the response to the API key test."""
    return wire.KeyTest(message="The API key is valid.", user_id=principal.key_id, is_anonymous=False)


def timestamp(at: datetime) -> str:
    """Write a time in UTC without an offset, as the vendor's server does."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()
