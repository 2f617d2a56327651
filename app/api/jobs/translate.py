"""New jobs and items as documents."""

from typing import Any

from app.api.translate import LARGE, job_document, lease_document, time_text
from app.domain.item import Item
from app.domain.job import Created


def created_document(created: Created) -> dict[str, Any]:
    """Describe a job that was just created."""
    lease = lease_document(created.lease) if created.lease else None
    return {**job_document(created.job, LARGE), "lease": lease}


def item_document(job_id: str, item: Item) -> dict[str, Any]:
    """Describe an item."""
    return {
        "id": f"{job_id}.{item.key}",
        "key": item.key,
        "name": item.name,
        "uri": item.uri,
        "status": item.status.value,
        "stage": item.stage,
        "message": item.message,
        "error_code": item.error_code,
        "error_message": item.error_message,
        "skip_reason": item.skip_reason,
        "size_bytes": item.size_bytes,
        "result": item.result,
        "updated_at": time_text(item.updated_at),
    }
