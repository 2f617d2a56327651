"""What can go wrong when talking to Jobtrack: one small tree, made from RFC 9457 problems.

Programs switch on the class, or on `code` where they need to be exact; people read `str(error)`,
which is one sentence.
"""

# ruff: noqa: N818  the names say what is the case, and read as such in an `except`

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from jobtrack_client.models import Job


class JobtrackError(Exception):
    """The service refused a call, or could not be asked.

    `status` is the HTTP status (0 when there was no answer), `code` the stable word for it, `detail`
    the sentence, `job` the current state of the job where a 409 carries it, `errors` the single
    faults of a 422 as `{pointer, code, message}`, `retryable` what the service says about repeating.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int = 0,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep the facts; `problem` is the whole problem document where there is one."""
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.problem: Mapping[str, Any] = problem or {}

    @property
    def job(self) -> Job | None:
        """The job as it stands, when the service said so."""
        return self.problem.get("job")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The single faults of the body, each with a JSON Pointer."""
        return self.problem.get("errors") or []

    @property
    def retryable(self) -> bool | None:
        """Whether the same call may succeed later; None when the service does not say."""
        return self.problem.get("retryable")


class Unavailable(JobtrackError):
    """There was no answer, or one that says "not now" (502, 503, 504); names the address."""


class Unauthorized(JobtrackError):
    """No API key, or one that the service does not know (401)."""


class Forbidden(JobtrackError):
    """The key is known and lacks the scope for this call (403)."""


class NotFound(JobtrackError):
    """No such job in the project of this key (404)."""


class Unprocessable(JobtrackError):
    """The request itself is wrong (400, 413, 415, 422); `errors` says where."""


class Conflict(JobtrackError):
    """The job is not in a state that allows this (409); nothing was changed."""


class LeaseLost(Conflict):
    """The token is not the job's latest one: somebody else holds the job, or nobody does."""


class AlreadyTerminal(Conflict):
    """The job has ended; a terminal job never changes."""


class InvalidTransition(Conflict):
    """The job's state does not know this event."""


_BY_STATUS: dict[int, type[JobtrackError]] = {
    400: Unprocessable,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
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
}


def from_problem(status: int, problem: Mapping[str, Any], address: str) -> JobtrackError:
    """Turn a problem document into the error to raise; also for the problems inside a batch."""
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, JobtrackError)
    if kind is Unavailable:
        detail = f"Jobtrack at {address} cannot answer now: {detail}"
    return kind(detail, code=code, status=status, problem=problem)


def from_response(response: httpx.Response, address: str) -> JobtrackError:
    """Turn an answer outside 2xx into the error to raise, whatever its body is.

    A proxy in between answers HTML, and a wrong address may answer anything.
    """
    try:
        problem = json.loads(response.content)
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"detail": f"HTTP {response.status_code} {response.reason_phrase}".strip()}
    return from_problem(response.status_code, problem, address)
