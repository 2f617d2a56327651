"""The operations for those who submit jobs and watch them, each a function that builds its `Call`.

Both clients offer every function here and in `worker_calls` as a method of the same name, so that
signatures and explanations stand once. Waits are whole seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from jobtrack_client.call import Call, job_path, whole
from jobtrack_client.models import ItemPage, Job, JobStates, Until


def create_job(
    type: str,  # noqa: A002  the word of the wire
    *,
    idempotency_key: str | None = None,
    **fields: object,
) -> Call[Job]:
    """Submit a job and give it back as stored.

    `fields`: queue, engine, collection, payload, priority, scheduled_at, expires_at, max_attempts,
    retry `{delay_seconds, factor, max_delay_seconds}`, labels, items, claim. A connection that breaks
    is tried again without making a second job: the call carries an idempotency key, by default a
    fresh one. Pass your own to make one job of several calls.
    Raises `Unprocessable` when a field is wrong, `Conflict` when the key was used for another job.
    """
    return Call(
        method="POST",
        path="/v1/jobs",
        read=whole,
        body={"type": type, **fields},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        repeatable=True,
    )


def get_job(job_id: str, wait: int | None = None, if_none_match: int | str | None = None) -> Call[Job | None]:
    """Give the job, with payload, result and billing.

    `wait` holds the answer up to so many seconds (the service caps it at 50) until the job has ended
    or, with `if_none_match` (the `version` you know), until it changes; None is given when it did not.
    Raises `NotFound`.
    """
    headers = {} if if_none_match is None else {"If-None-Match": f'"{if_none_match}"'}
    return Call(
        method="GET",
        path=job_path(job_id),
        read=lambda job: job,
        headers=headers,
        wait=wait,
        repeatable=True,
    )


def wait_jobs(
    ids: Sequence[str],
    *,
    until: Until = "all",
    wait: int = -1,
    versions: Mapping[str, int] | None = None,
    include: Sequence[str] = (),
) -> Call[JobStates]:
    """Give the states of up to 100 jobs, as `{jobs, not_found}`.

    The answer comes when `all` or `any` of them have ended, or on `change` since the `versions` you
    know; after `wait` seconds at the latest (-1: never give up; 0: at once). `include` names fields
    that are left out otherwise: payload, result, billing.
    """
    body: dict[str, Any] = {"ids": list(ids), "until": until}
    if versions is not None:
        body["versions"] = dict(versions)
    if include:
        body["include"] = list(include)
    return Call(method="POST", path="/v1/jobs/wait", read=whole, body=body, wait=wait, repeatable=True)


def list_items(
    job_id: str, *, status: str | None = None, limit: int = 1000, cursor: str | None = None
) -> Call[ItemPage]:
    """Give one page of the job's items, in the order in which they were first reported.

    `limit` is 1 to 1,000; `cursor` is the `next_cursor` of the page before. Raises `NotFound`.
    """
    params: dict[str, str | int] = {"limit": limit}
    params |= {name: value for name, value in (("status", status), ("cursor", cursor)) if value}
    return Call(method="GET", path=job_path(job_id, "/items"), read=whole, params=params, repeatable=True)


def rerun(job_id: str, *, only_failed_items: bool = False, idempotency_key: str | None = None) -> Call[Job]:
    """Make a new job of one that has ended, and give the new one.

    Raises `Conflict` while the job is live or when its input is gone, `Unprocessable` when only the
    failed items are asked for and none failed.
    """
    return Call(
        method="POST",
        path=job_path(job_id, "/rerun"),
        read=whole,
        body={"only_failed_items": only_failed_items},
        headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
        # Without a key, a live rerun answers the second call too, but one that has ended does not.
        repeatable=idempotency_key is not None,
    )


def cancel(job_id: str) -> Call[Job]:
    """Ask for the job to be cancelled and give it: `cancelled`, or `cancelling` while a worker holds it.

    Raises `AlreadyTerminal` when it ended in another way.
    """
    return Call(method="POST", path=job_path(job_id, "/cancel"), read=whole, repeatable=True)


def health() -> Call[dict[str, Any]]:
    """Ask whether the service is ready; needs no key. Raises `Unavailable` when it is not."""
    return Call(method="GET", path="/readyz", read=whole, once=True)
