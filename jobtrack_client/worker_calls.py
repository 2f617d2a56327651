"""Calls for workers, each a function that builds a `Call`; see `calls`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jobtrack_client.call import Call, job_path, read_list, read_object
from jobtrack_client.models import (
    ClaimedJob,
    EndedJob,
    ItemUpdate,
    LogLine,
    NextClaim,
    Report,
    ReportAnswer,
    ReportResult,
    ReportsAndClaim,
    WorkersNextClaim,
)

T = TypeVar("T")


def claim(
    *,
    worker: str,
    queues: Sequence[str] = (),
    types: Sequence[str] = (),
    job_ids: Sequence[str] = (),
    max: int = 1,  # noqa: A002  the name on the wire
    lease_seconds: int | None = 30,
    wait: int = 0,
    include: Sequence[str] = (),
) -> Call[list[ClaimedJob]]:
    """Claim up to `max` jobs that are due, waiting up to `wait` (0-50) seconds for the first.

    Empty `queues`, `types` and `job_ids` match any job. `lease_seconds=None` is for jobs of an `engine`. With
    `include=["items"]` the jobs have their first unfinished items, a page as of `list_items`.
    The call is not repeated once it may have arrived: the lost response may contain jobs, which are
    offered again when their leases expire.
    """
    body: dict[str, Any] = {"worker": worker, "max": max, "lease_seconds": lease_seconds}
    filters = (("queues", queues), ("types", types), ("job_ids", job_ids), ("include", include))
    body |= {name: list(values) for name, values in filters if values}
    return Call(method="POST", path="/v1/claims", read=_read_claimed, body=body, wait=wait)


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
    """Report progress and extend the lease; a report without fields is a heartbeat.

    Omitted fields stay as they are. `progress` is 0 to 100, `items` are up to 1,000 updates by key.
    Raises `LeaseLost` if the job is no longer yours.
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
    return _worker_call(job_id, "/report", token, fields, _read_report_answer)


def complete(
    job_id: str, token: str, *, result: object = None, billing: object = None, claim: NextClaim | None = None
) -> Call[EndedJob]:
    """Complete the job and return it; the result can be any JSON value. Raises `LeaseLost`, `AlreadyTerminal`.

    With `claim`, its `claimed` are the next jobs, taken in the same call; a repeated call takes none.
    """
    return _worker_call(job_id, "/complete", token, {"result": result, "billing": billing, "claim": claim}, _read_ended)


def fail(
    job_id: str,
    token: str,
    *,
    code: str,
    message: str,
    retryable: bool = True,
    retry_after_seconds: float | None = None,
    claim: NextClaim | None = None,
) -> Call[EndedJob]:
    """Fail this attempt and return the job: `retrying` while attempts remain, else `failed`. `claim`: see `complete`.

    Raises `LeaseLost`. When the call is repeated after a lost response, the token may be spent already
    and `Conflict` is raised although the first call was carried out.
    """
    fields = {
        "code": code,
        "message": message,
        "retryable": retryable,
        "retry_after_seconds": retry_after_seconds,
        "claim": claim,
    }
    return _worker_call(job_id, "/fail", token, fields, _read_ended)


def release(job_id: str, token: str, *, claim: NextClaim | None = None) -> Call[EndedJob]:
    """Release the job unworked: it is pending again, and the attempt does not count. Also acknowledges a cancellation.

    `claim`: see `complete`; the released job may be the next one.
    Raises `LeaseLost`; a repeated call may raise `Conflict`, as with `fail`.
    """
    return _worker_call(job_id, "/release", token, {"claim": claim}, _read_ended)


def reports(entries: Sequence[Report]) -> Call[list[ReportResult]]:
    """Send up to 1,000 reports, completions, failures and releases of different jobs in one call.

    Each entry has `job_id`, `action` and the fields of that call. The results are in the same order,
    each with an `outcome` or a `problem` (see `errors.from_problem`).
    """
    body = {"reports": list(entries)}
    return Call(method="POST", path="/v1/reports", read=read_list("results"), body=body, repeatable=True)


def reports_and_claim(entries: Sequence[Report], claim: WorkersNextClaim) -> Call[ReportsAndClaim]:
    """Send reports as `reports` does, and claim the next jobs with the same call, unless all of them were refused."""
    body = {"reports": list(entries), "claim": claim}
    return Call(method="POST", path="/v1/reports", read=_read_reports_and_claim, body=body, repeatable=True)


def _worker_call(
    job_id: str,
    action: str,
    token: str,
    fields: Mapping[str, object],
    read: Callable[[Any], T],
) -> Call[T]:
    present = {name: value for name, value in fields.items() if value is not None}
    # The token makes these safe to repeat: the service recognizes the repeated call, or refuses it and changes nothing.
    return Call(
        method="POST",
        path=job_path(job_id, action),
        read=read,
        body={"token": token, **present},
        repeatable=True,
    )


# A proxy may respond in the service's place. What a worker goes on with is checked here, where `Call.result` reports it
# as a response that is not Jobtrack's: the worker then tries again, instead of ending with a KeyError.


def _read_ended(body: Any) -> Any:
    answer = read_object(body)
    _check_claimed(answer.get("claimed") or ())
    return answer


def _read_reports_and_claim(body: Any) -> Any:
    _ = read_list("results")(body), read_list("claimed")(body)
    return _read_ended(body)


def _read_report_answer(body: Any) -> Any:
    answer = read_object(body)
    _ = answer["lease"]["expires_in_seconds"], answer["cancel_requested"]
    return answer


def _read_claimed(body: Any) -> Any:
    jobs = read_list("jobs")(body)
    _check_claimed(jobs)
    return jobs


def _check_claimed(jobs: Sequence[Any]) -> None:
    _ = [(job["id"], job["type"], job["lease"]["token"], job["lease"]["expires_in_seconds"]) for job in jobs]
