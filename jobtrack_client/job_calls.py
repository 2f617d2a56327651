"""The operations on many jobs, and on what belongs to one: lists, changes by filter, history, input.

Conditions of a filter, all optional, all must hold: status, type and queue (a word or several),
collection, labels (a mapping), created_after and created_before (RFC 3339), original_job_id.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobtrack_client.call import Call, inner, job_path, whole
from jobtrack_client.models import BulkResult, EventPage, JobPage, LogPage, StoredInput

_MANY = ("status", "type", "queue")


def create_jobs(jobs: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Call[list[dict[str, Any]]]:
    """Submit up to 1,000 jobs, each with the fields of `create_job`; gives `{job}` or `{problem}` of each, in order."""
    return Call(
        method="POST",
        path="/v1/jobs/batch",
        read=inner("results"),
        body={"jobs": [dict(job) for job in jobs]},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        repeatable=True,
    )


def list_jobs(
    *, limit: int = 50, cursor: str | None = None, include: Sequence[str] = (), **conditions: object
) -> Call[JobPage]:
    """Give a page of jobs, newest first, as `{jobs, next_cursor}`; only a null cursor is the end."""
    params: dict[str, str | int | list[str]] = {"limit": limit}
    if cursor:
        params["cursor"] = cursor
    if include:
        params["include"] = list(include)
    for name, value in conditions.items():
        if name == "labels" and isinstance(value, Mapping):
            params["label"] = [f"{_escaped(str(key))}:{text}" for key, text in value.items()]
        elif value is not None:
            params[name] = _words(value) if name in _MANY else str(value)
    return Call(method="GET", path="/v1/jobs", read=whole, params=params, repeatable=True)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(":", "\\:")


def _words(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(word) for word in value]  # type: ignore[attr-defined]


def _change(path: str, conditions: Mapping[str, object], more: Mapping[str, object]) -> Call[BulkResult]:
    body = {name: _words(value) if name in _MANY else value for name, value in conditions.items() if value is not None}
    body |= {name: value for name, value in more.items() if value is not None}
    # A repeat finds what the first call changed changed already.
    return Call(method="POST", path=path, read=whole, body=body, repeatable=True)


def cancel_jobs(*, dry_run: bool = False, cursor: str | None = None, **conditions: object) -> Call[BulkResult]:
    """Cancel up to 1,000 live jobs that a filter matches; call again with `next_cursor` until it is null."""
    return _change("/v1/jobs/cancel", conditions, {"dry_run": dry_run, "cursor": cursor})


def rerun_jobs(
    *, only_failed_items: bool = False, dry_run: bool = False, cursor: str | None = None, **conditions: object
) -> Call[BulkResult]:
    """Rerun up to 100 ended jobs that a filter matches; call again with `next_cursor` until it is null."""
    more = {"only_failed_items": only_failed_items, "dry_run": dry_run, "cursor": cursor}
    return _change("/v1/jobs/rerun", conditions, more)


def delete_job(job_id: str) -> Call[None]:
    """Delete a job that has ended. Raises `Conflict` while it is live, `NotFound` when it is gone."""
    return Call(method="DELETE", path=job_path(job_id), read=_nothing)


def list_events(job_id: str, *, limit: int = 500, cursor: str | None = None) -> Call[EventPage]:
    """Give a page of what happened to a job, the oldest first."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path=job_path(job_id, "/events"), read=whole, params=params, repeatable=True)


def read_logs(job_id: str, *, offset: int = 0, limit: int = 1000, wait: int | None = None) -> Call[LogPage]:
    """Give log lines from a number on; with `wait` seconds (50 at most) wait for the first one."""
    return Call(
        method="GET",
        path=job_path(job_id, "/logs"),
        read=whole,
        params={"offset": offset, "limit": limit},
        wait=wait,
        repeatable=True,
    )


def put_input(
    job_id: str, content: bytes | Iterable[bytes], *, content_type: str = "application/octet-stream"
) -> Call[StoredInput]:
    """Give a job its input, up to 100 MiB, before a worker takes it. Pieces, for what should not be held in memory
    whole, are for the plain client alone.
    """
    return Call(
        method="PUT",
        path=job_path(job_id, "/input"),
        read=whole,
        content=content,
        headers={"Content-Type": content_type},
        repeatable=isinstance(content, bytes),
    )


def get_input(job_id: str, *, lease_token: str | None = None) -> Call[bytes]:
    """Read a job's input; a key that may only work reads it under its lease's token."""
    return Call(
        method="GET",
        path=job_path(job_id, "/input"),
        read=bytes,
        raw=True,
        headers={"Lease-Token": lease_token} if lease_token else {},
        repeatable=True,
    )


def _nothing(_: object) -> None:
    """Read an answer that says nothing."""
