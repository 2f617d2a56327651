"""Between the domain and Docent's words: pure functions."""

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
    # Whatever went wrong is `canceled`: the client polls for ever on any other word.
    JobState.FAILED: "canceled",
    JobState.CANCELLED: "canceled",
    JobState.EXPIRED: "canceled",
}
"""The vendor's word for each state; the table of docs/dialects.md is made from it."""

UPLOAD_TYPE: Final[wire.JobType] = "agent_run_ingest_job"
"""The type of what is uploaded, and the nearest word for a type that the vendor does not know."""


def new_job(collection_id: str) -> NewJob:
    """Make the job that an upload becomes."""
    return NewJob(id=new_id(), type=UPLOAD_TYPE, collection=collection_id)


def visible(job: Job, collection_id: str) -> bool:
    """Whether a job is seen in a collection: one of no collection is seen in all."""
    return job.collection in (None, collection_id)


def job_status(job: Job) -> wire.JobStatus:
    """Give a job."""
    failure = job.failure
    return wire.JobStatus(**_info(job), error_message=None if failure is None else failure.message)


def batch_status(jobs: Iterable[Job], collection_id: str) -> wire.BatchStatus:
    """Give the jobs that are seen in a collection."""
    return wire.BatchStatus(jobs=[job_status(job) for job in jobs if visible(job, collection_id)])


def job_list(jobs: Iterable[Job]) -> wire.JobList:
    """Give a list of jobs."""
    infos = [wire.JobInfo(**_info(job)) for job in jobs]
    return wire.JobList(jobs=infos, count=len(infos))


def _info(job: Job) -> dict[str, Any]:
    return {
        "job_id": str(job.id),
        "status": STATES[job.state],
        "type": job.type if job.type in get_args(wire.JobType) else UPLOAD_TYPE,
        "created_at": timestamp(job.created_at),
        "collection_id": job.collection,
    }


def enqueued(job: Job, collection_id: str) -> wire.Enqueued:
    """Answer an upload."""
    return wire.Enqueued(
        job_id=str(job.id),
        status="enqueued",
        status_url=f"/rest/{quote(collection_id, safe='')}/agent_runs/jobs/{job.id}",
        message="The upload is queued for ingestion.",
    )


def key_test(principal: Principal) -> wire.KeyTest:
    """Answer the hand-shake."""
    return wire.KeyTest(message="The API key is valid.", user_id=principal.key_id, is_anonymous=False)


def timestamp(at: datetime) -> str:
    """Write a time in UTC without saying so, as the vendor's server does."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()
