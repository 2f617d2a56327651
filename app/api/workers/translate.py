"""Claimed jobs and the outcomes of worker calls as documents."""

from typing import Any

from app.api.translate import LARGE, job_document, lease_document
from app.domain.job import ClaimedJob
from app.domain.worker_call import Ended, Reported


def claimed_document(claimed: ClaimedJob) -> dict[str, Any]:
    """Describe a claimed job with its lease and checkpoint."""
    return {
        **job_document(claimed.job, LARGE),
        "lease": lease_document(claimed.lease),
        "checkpoint": claimed.checkpoint,
    }


def outcome_document(outcome: Reported | Ended) -> dict[str, Any]:
    """Describe the outcome of a worker call."""
    if isinstance(outcome, Ended):
        return job_document(outcome.job)
    return {
        "status": outcome.state.value,
        "cancel_requested": outcome.cancel_requested,
        "lease": {"expires_in_seconds": outcome.lease.expires_in_seconds},
    }
