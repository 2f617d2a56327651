"""The exceptions of the client: one small tree, built from RFC 9457 problems.

Programs distinguish them by class, or by `code` where they need to be exact; `str(error)` is one sentence for people.
"""

# ruff: noqa: N818  the names state the condition, and read as such in an `except`

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from jobtrack_client.models import Job

# A worker stores the sentence as its job's error, which may be this long; what answers need not be Jobtrack.
_MAX_DETAIL = 2000
_UNAUTHORIZED = 401


class JobtrackError(Exception):
    """The service refused a call, or could not be reached.

    `status` is the HTTP status (0 if there was no response), `code` the stable identifier of the error, `detail` a
    sentence, which for a 422 names the first fault, `job` the state of the job where the error is about one, `errors`
    the individual faults of a 422 as `{pointer, code, message}`, and `retryable` whether the service says that the call
    may be repeated.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int = 0,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the details; `problem` is the whole problem document, if there is one."""
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.problem: Mapping[str, Any] = problem or {}

    @property
    def job(self) -> Job | None:
        """The state of the job, if the error is about one."""
        return self.problem.get("job")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The individual faults of the request body, each with a JSON Pointer."""
        return self.problem.get("errors") or []

    @property
    def retryable(self) -> bool | None:
        """Whether the same call may succeed later; None if the service does not say."""
        return self.problem.get("retryable")


class Unavailable(JobtrackError):
    """There was no response, or one that means "not now" (502, 503, 504); the message contains the address."""


class Unauthorized(JobtrackError):
    """There is no API key, or the service does not know it (401)."""


class Forbidden(JobtrackError):
    """The API key lacks the scope for this call (403)."""


class NotFound(JobtrackError):
    """The job (or queue, or key) does not exist in the project of the API key (404)."""


class Unprocessable(JobtrackError):
    """The request itself is invalid (400, 413, 415, 422); `errors` says where."""


class CursorExpired(JobtrackError):
    """The cursor is from before the database was restored into another cluster (410): begin again without one."""


class Conflict(JobtrackError):
    """The state of the job does not allow this (409); nothing was changed."""


class LeaseLost(Conflict):
    """The token is not the job's current one: another worker holds the job, or none does.

    Or the lease ran out, and the queue's `concurrency_limit` leaves no place to go on; a completion or failure counts.
    """


class AlreadyTerminal(Conflict):
    """The job has ended; a terminal job never changes."""


class InvalidTransition(Conflict):
    """The job's state does not allow this event."""


class QueueFull(Conflict):
    """The queue's `concurrency_limit` leaves no place for a job that is created already claimed; later it may."""


class JobFailed(JobtrackError):
    """The job that was waited for ended without success; `code` is that of its error, or else its status."""

    def __init__(self, job: Job) -> None:
        """Store the job as it ended."""
        error = job["error"]
        reason = f": {error['code']}: {error['message']}" if error else ""
        code = error["code"] if error else job["status"]
        super().__init__(f"Job {job['id']} ended as {job['status']}{reason}", code=code, problem={"job": job})


class NotEnded(JobtrackError, TimeoutError):
    """The time of the wait is over, and the job has not ended; `job` is its last known state."""

    def __init__(self, job: Job) -> None:
        """Store the job as it was last seen."""
        detail = f"Job {job['id']} has not ended yet, it is {job['status']}"
        super().__init__(detail, code="not_ended", problem={"job": job})


_BY_STATUS: dict[int, type[JobtrackError]] = {
    400: Unprocessable,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: CursorExpired,
    413: Unprocessable,
    415: Unprocessable,
    422: Unprocessable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
_BY_CODE: dict[str, type[JobtrackError]] = {
    "lease_lost": LeaseLost,
    "already_terminal": AlreadyTerminal,
    "invalid_transition": InvalidTransition,
    "queue_full": QueueFull,
}


def from_problem(status: int, problem: Mapping[str, Any], address: str) -> JobtrackError:
    """Return the exception for a problem document; also for the problems in the results of a batch."""
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
    if len(detail) > _MAX_DETAIL:
        detail = f"{detail[: _MAX_DETAIL - 3]}..."
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, JobtrackError)
    if kind is Unavailable:
        detail = f"Jobtrack at {address} cannot answer now: {detail}"
    return kind(detail, code=code, status=status, problem=problem)


def from_response(response: httpx.Response, address: str) -> JobtrackError:
    """Return the exception for a response outside 2xx, whatever its body is.

    A proxy in between responds with HTML, and a wrong address may respond with anything.
    """
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"HTTP {response.status_code} {response.reason_phrase}".strip()}
    if response.status_code == _UNAUTHORIZED and "Authorization" not in response.request.headers:
        detail = f"No API key was sent to {address}: pass api_key to the client, or set JOBTRACK_API_KEY."
        problem = {**problem, "detail": detail}
    return from_problem(response.status_code, problem, address)
