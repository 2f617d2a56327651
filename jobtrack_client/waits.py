"""Methods of the clients that wait for jobs, for as long as their caller says, whatever happens to the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from jobtrack_client import calls
from jobtrack_client.call import Call
from jobtrack_client.errors import JobFailed, JobtrackError, NotEnded
from jobtrack_client.follow import Follow, ended_by
from jobtrack_client.models import Job, JobStates, Until, has_succeeded, is_terminal
from jobtrack_client.patience import once
from jobtrack_client.sender import AsyncSender, Sender

T = TypeVar("T")

# The service holds the response to a GET no longer: below the idle timeout of common proxies.
LONGEST_GET_SECONDS = 50


def follow(self: Sender, limits: Follow, build: Callable[[int], Call[T]], longest: int | None = None) -> T:
    """Send a call that waits until its wait has ended by its condition, or because the time of the caller is over.

    `build` returns the call for a wait of so many seconds, `longest` is the longest wait of a single call. Each call is
    sent once: the client's own retries do not know the time of the caller, and five calls to a service that hangs take
    minutes.
    """
    while True:
        try:
            result, response = self.exchange(once(build(limits.next_wait(longest))))
        except JobtrackError as error:
            pause: float | None = limits.after_error(error)
        else:
            pause = limits.after_answer(ended_by(response, result))
            if pause is None:
                return result
        time.sleep(pause or 0)


async def follow_async(
    self: AsyncSender, limits: Follow, build: Callable[[int], Call[T]], longest: int | None = None
) -> T:
    """Send a call that waits until its wait has ended; see `follow`."""
    while True:
        try:
            result, response = await self.exchange(once(build(limits.next_wait(longest))))
        except JobtrackError as error:
            pause: float | None = limits.after_error(error)
        else:
            pause = limits.after_answer(ended_by(response, result))
            if pause is None:
                return result
        await asyncio.sleep(pause or 0)


def _limits(self: Sender | AsyncSender, seconds: float | None) -> Follow:
    return Follow(None if seconds is None or seconds < 0 else seconds, answered=self.answered)


def wait_jobs(
    self: Sender,
    ids: Sequence[str],
    *,
    until: Until = "all",
    wait: int = -1,
    versions: Mapping[str, int] | None = None,
    include: Sequence[str] = (),
) -> JobStates:
    """Return the states of up to 100 jobs, as `{jobs, not_found, ended_by, documents_omitted}`.

    It returns when `all` or `any` of them have ended or, with `change`, when one of them differs from the
    `versions` you have (`ended_by` is `condition`); after `wait` seconds at the latest (`timeout`; -1: no
    limit; 0: at once). Restarts and absences of the service do not end it. `include` adds fields that are
    otherwise omitted: payload, result, billing; `documents_omitted` names the jobs for whose fields the
    response had no room: read these again, fewer at a time. Raises `Unavailable` if the service is away when
    the time is over.
    """

    def build(seconds: int) -> Call[JobStates]:
        return calls.wait_jobs(ids, until=until, wait=seconds, versions=versions, include=include)

    return follow(self, _limits(self, wait), build) if wait else self.send(build(0))


async def wait_jobs_async(
    self: AsyncSender,
    ids: Sequence[str],
    *,
    until: Until = "all",
    wait: int = -1,
    versions: Mapping[str, int] | None = None,
    include: Sequence[str] = (),
) -> JobStates:
    """Return the states of up to 100 jobs; see `JobtrackClient.wait_jobs`."""

    def build(seconds: int) -> Call[JobStates]:
        return calls.wait_jobs(ids, until=until, wait=seconds, versions=versions, include=include)

    return await (follow_async(self, _limits(self, wait), build) if wait else self.send(build(0)))


def get_job(self: Sender, job_id: str, wait: int | None, if_none_match: int | str | None) -> Job | None:
    """Return the job, or None if it still has the version `if_none_match`; see `calls.get_job`."""

    def build(seconds: int | None) -> Call[Job | None]:
        return calls.get_job(job_id, seconds, if_none_match)

    return follow(self, _limits(self, wait), build, LONGEST_GET_SECONDS) if wait else self.send(build(wait))


async def get_job_async(
    self: AsyncSender, job_id: str, wait: int | None, if_none_match: int | str | None
) -> Job | None:
    """Return the job, or None if it still has the version `if_none_match`; see `calls.get_job`."""

    def build(seconds: int | None) -> Call[Job | None]:
        return calls.get_job(job_id, seconds, if_none_match)

    waits = follow_async(self, _limits(self, wait), build, LONGEST_GET_SECONDS) if wait else self.send(build(wait))
    return await waits


def wait(self: Sender, job_id: str, timeout: float | None = None) -> Job:
    """Wait until the job has ended, however it ended, and return it with payload, result and billing.

    Restarts and absences of the service do not end the wait. Raises `NotEnded`, a `TimeoutError`, after
    `timeout` seconds (None: no limit), `Unavailable` if the service is away then, and `NotFound` if the job
    does not exist or is deleted meanwhile.
    """
    limits = _limits(self, None if timeout is None else max(0.0, timeout))
    states = follow(self, limits, lambda seconds: calls.wait_jobs([job_id], wait=seconds))
    _check_ended(states)
    # Its documents. Of a deleted job it raises `NotFound`.
    return _present(follow(self, limits, lambda _: calls.get_job(job_id)))


async def wait_async(
    self: AsyncSender,
    job_id: str,
    timeout: float | None = None,  # noqa: ASYNC109  the same signature as that of the other client
) -> Job:
    """Wait until the job has ended, and return it; see `JobtrackClient.wait`."""
    limits = _limits(self, None if timeout is None else max(0.0, timeout))
    states = await follow_async(self, limits, lambda seconds: calls.wait_jobs([job_id], wait=seconds))
    _check_ended(states)
    return _present(await follow_async(self, limits, lambda _: calls.get_job(job_id)))


def run(
    self: Sender,
    type: str,  # noqa: A002  the name on the wire
    *,
    timeout: float | None = None,
    idempotency_key: str | None = None,
    **fields: object,
) -> Any:
    """Submit a job, wait until it has ended, and return its result.

    `idempotency_key` and `fields` are those of `create_job`, `timeout` is that of `wait`. Raises `JobFailed`,
    with the error of the job, if it did not succeed; a job that completed with failed items did. Raises
    `NotEnded` when the time is over, or `Unavailable` if the service is away then; the job goes on.
    """
    job = self.send(calls.create_job(type, idempotency_key=idempotency_key, **fields))
    return _result(wait(self, job["id"], timeout))


async def run_async(
    self: AsyncSender,
    type: str,  # noqa: A002  the name on the wire
    *,
    timeout: float | None = None,  # noqa: ASYNC109  the same signature as that of the other client
    idempotency_key: str | None = None,
    **fields: object,
) -> Any:
    """Submit a job, wait until it has ended, and return its result; see `JobtrackClient.run`."""
    job = await self.send(calls.create_job(type, idempotency_key=idempotency_key, **fields))
    return _result(await wait_async(self, job["id"], timeout))


def _check_ended(states: JobStates) -> None:
    for job in states["jobs"]:
        if not is_terminal(job):
            raise NotEnded(job)


def _present(job: Job | None) -> Job:
    if job is None:
        raise LookupError("a response without a job to a request without a condition")
    return job


def _result(job: Job) -> Any:
    if not has_succeeded(job):
        raise JobFailed(job)
    return job.get("result")
