"""Claimed jobs and the outcomes of worker calls as documents."""

from typing import Any
from uuid import UUID

from app.api.jobs.translate import item_document, items_cursor
from app.api.translate import LARGE, job_document, lease_document
from app.domain.item import UNFINISHED_ITEM, ItemPage
from app.domain.job import ClaimedJob
from app.domain.worker_call import Ended, Reported


def claimed_document(claimed: ClaimedJob) -> dict[str, Any]:
    """Describe a claimed job with its lease and checkpoint."""
    document = {
        **job_document(claimed.job, LARGE),
        "lease": lease_document(claimed.lease),
        "checkpoint": claimed.checkpoint,
    }
    return document if claimed.items is None else {**document, "items": _items(claimed.job.id, claimed.items)}


def _items(job_id: UUID, page: ItemPage) -> dict[str, Any]:
    next_cursor = None
    if page.next_position is not None:
        next_cursor = items_cursor(str(job_id), UNFINISHED_ITEM, page.next_position)
    return {"items": [item_document(str(job_id), item) for item in page.items], "next_cursor": next_cursor}


def outcome_document(outcome: Reported | Ended) -> dict[str, Any]:
    """Describe the outcome of a worker call."""
    if isinstance(outcome, Ended):
        return job_document(outcome.job)
    return {
        "status": outcome.state.value,
        "cancel_requested": outcome.cancel_requested,
        "lease": {"expires_in_seconds": outcome.lease.expires_in_seconds},
    }
