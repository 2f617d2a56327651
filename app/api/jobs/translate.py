"""New jobs and items as documents."""

from collections.abc import Collection
from typing import Any

from app.api.translate import LARGE, job_document, lease_document, time_text
from app.domain.item import GroupedErrors, Item
from app.domain.job import Created
from app.domain.principal import Principal, Scope
from app.domain.waiting import Waiting
from app.web.cursors import write_cursor


def shown_of_created(caller: Principal) -> Collection[str]:
    """Return the large parts that a creation shows its caller. A repeat finds what has become of the job since, which
    without `read` is others' business.
    """
    return LARGE if caller.may(Scope.READ) else {"payload"}


def shown_of_rerun(caller: Principal) -> Collection[str]:
    """Return the large parts that a rerun shows its caller: they are of a job that somebody else may have created."""
    return LARGE if caller.may(Scope.READ) else ()


def created_document(created: Created, shown: Collection[str]) -> dict[str, Any]:
    """Describe a job that was just created; of payload, result and billing what is not to be shown is null."""
    lease = lease_document(created.lease) if created.lease else None
    hidden = dict.fromkeys(sorted(LARGE.difference(shown)))
    return {**job_document(created.job, shown), **hidden, "lease": lease}


def waiting_document(found: Waiting | None) -> dict[str, Any] | None:
    """Describe why a job does not go on; None of one that is gone."""
    if found is None:
        return None
    return {
        "reason": found.reason and found.reason.value,
        "since": time_text(found.since),
        "until": time_text(found.until),
        "detail": found.detail,
    }


def items_of(
    job_id: str, status: Collection[str], codes: Collection[str] = (), *, with_error: bool = False
) -> tuple[str, ...]:
    """Return what a cursor of a job's items is bound to: the job, the statuses, and the errors that are wanted."""
    bound: tuple[str, ...] = ("items", job_id, ",".join(sorted(status)))
    return (*bound, "errors", *sorted(codes)) if codes or with_error else bound


def items_cursor(job_id: str, status: Collection[str], position: int) -> str:
    """Write the cursor behind a position in the job's items with these statuses."""
    return write_cursor(position, *items_of(job_id, status))


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


def errors_document(found: GroupedErrors) -> dict[str, Any]:
    """Describe the errors of a job's items."""
    errors = [
        {"error_code": each.error_code, "count": each.count, "first_key": each.first_key, "message": each.message}
        for each in found.errors
    ]
    return {"errors": errors, "counted": found.counted, "is_complete": found.is_complete}
