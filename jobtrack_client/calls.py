"""Calls for programs that submit jobs and watch them, each a function that builds a `Call`.

Both clients offer every function here and in `job_calls`, `worker_calls` and `admin_calls` as a method of the same
name, so that signatures and docstrings are written once. Waits are in whole seconds.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from jobtrack_client.call import Call, job_path, read_object
from jobtrack_client.models import ItemPage, Job, JobStates, Until


def create_job(
    type: str,  # noqa: A002  the name on the wire
    *,
    idempotency_key: str | None = None,
    **fields: object,
) -> Call[Job]:
    """Submit a job and return it as stored.

    `fields`: queue, engine, collection, payload, priority, scheduled_at, expires_at, max_attempts,
    retry `{delay_seconds, factor, max_delay_seconds}`, expected_seconds, labels, items, claim. The call carries an
    idempotency key, by default a new one, so repeating it after a broken connection does not create a
    second job. Pass your own key so that several calls create only one job.
    Raises `Unprocessable` if a field is invalid, `Conflict` if the key was used for a different job.
    """
    return Call(
        method="POST",
        path="/v1/jobs",
        read=read_object,
        body={"type": type, **fields},
        headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        repeatable=True,
    )


def get_job(job_id: str, wait: int | None = None, if_none_match: int | str | None = None) -> Call[Job | None]:
    """Return the job, with payload, result and billing.

    `wait` waits for up to this many seconds (-1: no limit) until the job has ended or, with `if_none_match`
    (the `version` you have), until it changes; restarts and absences of the service do not end the wait. The
    result is None if the job still has that version. Raises `NotFound`.
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
    """Wait for up to 100 jobs once; `ended_by` in the response says why it ended. The clients go on: see `waits`."""
    body: dict[str, Any] = {"ids": list(ids), "until": until}
    if versions is not None:
        body["versions"] = dict(versions)
    if include:
        body["include"] = list(include)
    return Call(method="POST", path="/v1/jobs/wait", read=read_object, body=body, wait=wait, repeatable=True)


def list_items(
    job_id: str,
    *,
    status: str | Sequence[str] | None = None,
    error_code: Sequence[str] = (),
    limit: int = 1000,
    cursor: str | None = None,
) -> Call[ItemPage]:
    """Return one page of the job's items, in the order in which they were first reported.

    `status` is one status or several, `error_code` the only error codes; `limit` is 1 to 1,000; `cursor` is the
    `next_cursor` of the previous page. Raises `NotFound`.
    """
    params: dict[str, str | int | list[str]] = {"limit": limit}
    if status:
        params["status"] = [status] if isinstance(status, str) else list(status)
    if error_code:
        params["error_code"] = list(error_code)
    if cursor:
        params["cursor"] = cursor
    return Call(method="GET", path=job_path(job_id, "/items"), read=read_object, params=params, repeatable=True)


def rerun(
    job_id: str,
    *,
    only_failed_items: bool = False,
    error_codes: Sequence[str] = (),
    idempotency_key: str | None = None,
) -> Call[Job]:
    """Run a job that has ended again, as a new job, and return the new job; with `error_codes` of the failed items that
    have one of these alone.

    Raises `Conflict` while the job or a rerun of other items of it is live or if its input no longer
    exists, `Unprocessable` if `only_failed_items` is set and no item failed.
    """
    return Call(
        method="POST",
        path=job_path(job_id, "/rerun"),
        read=read_object,
        body={"only_failed_items": only_failed_items, **({"error_codes": list(error_codes)} if error_codes else {})},
        headers={"Idempotency-Key": idempotency_key} if idempotency_key else {},
        # Without a key, a repeated call returns the first rerun only while that is live; later it creates a second.
        repeatable=idempotency_key is not None,
    )


def cancel(job_id: str) -> Call[Job]:
    """Request cancellation and return the job: `cancelled`, or `cancelling` while a worker holds it.

    Raises `AlreadyTerminal` if the job has ended in another way.
    """
    return Call(method="POST", path=job_path(job_id, "/cancel"), read=read_object, repeatable=True)


def health() -> Call[dict[str, Any]]:
    """Check that the service is ready. Needs no API key. Raises `Unavailable` if it is not ready."""
    return Call(method="GET", path="/readyz", read=read_object, once=True)
