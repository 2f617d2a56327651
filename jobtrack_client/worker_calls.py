"""The operations for those who work jobs, each a function that builds its `Call`; see `calls`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jobtrack_client.call import Call, inner, job_path, whole
from jobtrack_client.models import ClaimedJob, ItemUpdate, Job, LogLine, Report, ReportAnswer, ReportResult

T = TypeVar("T")


def claim(
    *,
    worker: str,
    queues: Sequence[str] = (),
    types: Sequence[str] = (),
    job_ids: Sequence[str] = (),
    max: int = 1,  # noqa: A002  the word of the wire
    lease_seconds: int | None = 30,
    wait: int = 0,
) -> Call[list[ClaimedJob]]:
    """Take up to `max` jobs that are due, waiting up to `wait` (0-50) seconds for the first.

    Nothing named means any. `lease_seconds` None is for jobs of an `engine`. Never sent again once it
    may have arrived: the answer that was lost may hold jobs, which are offered again when their leases
    run out.
    """
    body: dict[str, Any] = {"worker": worker, "max": max, "lease_seconds": lease_seconds}
    named = (("queues", queues), ("types", types), ("job_ids", job_ids))
    body |= {name: list(values) for name, values in named if values}
    return Call(method="POST", path="/v1/claims", read=inner("jobs"), body=body, wait=wait)


def report(
    job_id: str,
    token: str,
    *,
    lease_seconds: int | None = None,
    stage: str | None = None,
    progress: float | None = None,
    message: str | None = None,
    items: Sequence[ItemUpdate] = (),
    items_total: int | None = None,
    logs: Sequence[LogLine] = (),
    checkpoint: object = None,
) -> Call[ReportAnswer]:
    """Say how the job is going; also extends the lease, so an empty report is a heartbeat.

    What is left out stays as it is. `progress` is 0 to 100, `items` up to 1,000 updates by key.
    Raises `LeaseLost` when the job is no longer yours.
    """
    fields = {
        "lease_seconds": lease_seconds,
        "stage": stage,
        "progress": progress,
        "message": message,
        "items": list(items) or None,
        "items_total": items_total,
        "logs": list(logs) or None,
        "checkpoint": checkpoint,
    }
    return _worker_call(job_id, "/report", token, fields, whole)


def complete(job_id: str, token: str, *, result: object = None, billing: object = None) -> Call[Job]:
    """Finish the job and give it; any JSON value is a result. Raises `LeaseLost`, `AlreadyTerminal`."""
    return _worker_call(job_id, "/complete", token, {"result": result, "billing": billing}, whole)


def fail(
    job_id: str,
    token: str,
    *,
    code: str,
    message: str,
    retryable: bool = True,
    retry_after_seconds: float | None = None,
) -> Call[Job]:
    """End this attempt as failed and give the job: `retrying` while attempts remain, else `failed`.

    Raises `LeaseLost`. A second try after a lost answer may meet a spent token and raise `Conflict`
    although the first was carried out.
    """
    fields = {
        "code": code,
        "message": message,
        "retryable": retryable,
        "retry_after_seconds": retry_after_seconds,
    }
    return _worker_call(job_id, "/fail", token, fields, whole)


def release(job_id: str, token: str) -> Call[Job]:
    """Give the job back unworked: pending again, the attempt not counted; a cancel is acknowledged so.

    Raises `LeaseLost`; a second try after a lost answer may raise `Conflict`, as with `fail`.
    """
    return _worker_call(job_id, "/release", token, {}, whole)


def reports(entries: Sequence[Report]) -> Call[list[ReportResult]]:
    """Send up to 1,000 reports, completions, failures and releases of different jobs in one call.

    Each entry has `job_id`, `action` and the fields of that call; the results come in the same order,
    each with an `outcome` or a `problem` (see `errors.from_problem`).
    """
    body = {"reports": list(entries)}
    return Call(method="POST", path="/v1/reports", read=inner("results"), body=body, repeatable=True)


def _worker_call(
    job_id: str,
    action: str,
    token: str,
    fields: Mapping[str, object],
    read: Callable[[Any], T],
) -> Call[T]:
    given = {name: value for name, value in fields.items() if value is not None}
    # The token makes these safe to send again: the service knows the call, or refuses it unchanged.
    return Call(
        method="POST",
        path=job_path(job_id, action),
        read=read,
        body={"token": token, **given},
        repeatable=True,
    )
