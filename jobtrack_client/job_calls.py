"""Calls on many jobs, and on what belongs to a job: lists, bulk changes, history, logs and input.

The conditions of a filter, all optional, are joined with AND: status, type and queue (a string or several), collection,
labels (a mapping), created_after and created_before (RFC 3339), original_job_id.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobtrack_client.call import Call, job_path, read_list, read_nothing, read_object
from jobtrack_client.job_models import BulkResult, EventPage, GroupedErrors, JobPage, LogPage, StoredInput, Waiting

_MULTIPLE = ("status", "type", "queue")


def create_jobs(jobs: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Call[list[dict[str, Any]]]:
    """Submit up to 1,000 jobs with the fields of `create_job`; return `{job}` or `{problem}` for each, in order."""
    return Call(
        method="POST",
        path="/v1/jobs/batch",
        read=read_list("results"),
        body={"jobs": [dict(job) for job in jobs]},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        repeatable=True,
    )


def list_jobs(
    *, limit: int = 50, cursor: str | None = None, include: Sequence[str] = (), **conditions: object
) -> Call[JobPage]:
    """Return a page of jobs, newest first, as `{jobs, next_cursor}`; the last page is the one with a null cursor."""
    params: dict[str, str | int | list[str]] = {"limit": limit}
    if cursor:
        params["cursor"] = cursor
    if include:
        params["include"] = list(include)
    for name, value in conditions.items():
        if name == "labels" and isinstance(value, Mapping):
            params["label"] = [f"{_escape(str(key))}:{text}" for key, text in value.items()]
        elif value is not None:
            params[name] = _strings(value) if name in _MULTIPLE else str(value)
    return Call(method="GET", path="/v1/jobs", read=read_object, params=params, repeatable=True)


def _escape(name: str) -> str:
    return name.replace("\\", "\\\\").replace(":", "\\:")


def _strings(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(text) for text in value]  # type: ignore[attr-defined]


def _bulk_change(path: str, conditions: Mapping[str, object], options: Mapping[str, object]) -> Call[BulkResult]:
    body = {
        name: _strings(value) if name in _MULTIPLE else value for name, value in conditions.items() if value is not None
    }
    body |= {name: value for name, value in options.items() if value is not None}
    # A repeated call finds the jobs of the first one changed already, and leaves them as they are.
    return Call(method="POST", path=path, read=read_object, body=body, repeatable=True)


def cancel_jobs(*, dry_run: bool = False, cursor: str | None = None, **conditions: object) -> Call[BulkResult]:
    """Cancel up to 1,000 live jobs that match the conditions; call again with `next_cursor` until it is null."""
    return _bulk_change("/v1/jobs/cancel", conditions, {"dry_run": dry_run, "cursor": cursor})


def rerun_jobs(
    *, only_failed_items: bool = False, dry_run: bool = False, cursor: str | None = None, **conditions: object
) -> Call[BulkResult]:
    """Rerun up to 100 ended jobs that match the conditions; call again with `next_cursor` until it is null."""
    options = {"only_failed_items": only_failed_items, "dry_run": dry_run, "cursor": cursor}
    return _bulk_change("/v1/jobs/rerun", conditions, options)


def delete_job(job_id: str) -> Call[None]:
    """Delete a job that has ended. Raises `Conflict` while it is live, `NotFound` if it does not exist."""
    return Call(method="DELETE", path=job_path(job_id), read=read_nothing)


def get_waiting(job_id: str) -> Call[Waiting]:
    """Return why a live job does not go on, as of now; `reason` is None if it does. Raises `NotFound`."""
    return Call(method="GET", path=job_path(job_id, "/waiting"), read=read_object, repeatable=True)


def list_errors(job_id: str) -> Call[GroupedErrors]:
    """Return the error codes of the job's failed items, the most frequent first, each with its first item."""
    return Call(method="GET", path=job_path(job_id, "/errors"), read=read_object, repeatable=True)


def list_events(job_id: str, *, limit: int = 500, cursor: str | None = None) -> Call[EventPage]:
    """Return a page of a job's history, oldest event first."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path=job_path(job_id, "/events"), read=read_object, params=params, repeatable=True)


def read_logs(
    job_id: str,
    *,
    offset: int = 0,
    limit: int = 1000,
    wait: int | None = None,
    level: Sequence[str] = (),
    attempt: int | None = None,
) -> Call[LogPage]:
    """Return log lines from line number `offset` on; `wait` (seconds, 50 at most) waits for the first one.

    With levels, or an attempt, only their lines; a page may be short then before `ended` is true.
    """
    params: dict[str, str | int | list[str]] = {"offset": offset, "limit": limit}
    if level:
        params["level"] = list(level)
    if attempt is not None:
        params["attempt"] = attempt
    return Call(
        method="GET",
        path=job_path(job_id, "/logs"),
        read=read_object,
        params=params,
        wait=wait,
        repeatable=True,
    )


def put_input(
    job_id: str, content: bytes | Iterable[bytes], *, content_type: str = "application/octet-stream"
) -> Call[StoredInput]:
    """Upload a job's input, up to 100 MiB, before a worker claims the job.

    Content that should not be held in memory as a whole can be an iterable of chunks, with `JobtrackClient` only.
    """
    return Call(
        method="PUT",
        path=job_path(job_id, "/input"),
        read=read_object,
        content=content,
        headers={"Content-Type": content_type},
        repeatable=isinstance(content, bytes),
    )


def get_input(job_id: str, *, lease_token: str | None = None) -> Call[bytes]:
    """Return a job's input; an API key with only the `work` scope needs the token of the job's lease."""
    return Call(
        method="GET",
        path=job_path(job_id, "/input"),
        read=bytes,
        raw=True,
        headers={"Lease-Token": lease_token} if lease_token else {},
        repeatable=True,
    )
