"""Whether a call is retried, and after how long: pure decisions that both clients share."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import httpx

from jobtrack_client.call import Call
from jobtrack_client.errors import Unavailable, Unprocessable

_NOT_NOW = frozenset({502, 503, 504})
_TOO_MANY = 429
# What httpx raises in place of a response: an id or a filter may also be too long for an address.
NOT_ANSWERED = (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL)
# With these errors no byte of the request was sent, so even a claim may be repeated.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long a client retries. Pauses double, with full jitter, to spare a service that restarts."""

    attempts: int = 5
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    # If the service requests a longer pause than this, the error is raised instead.
    longest_retry_after_seconds: float = 30.0

    def after_error(self, call: Call[Any], attempt: int, error: Exception, address: str) -> float:
        """Return the seconds to wait after a failed connection, or raise `Unavailable`, or `Unprocessable`."""
        if isinstance(error, httpx.InvalidURL):
            raise unsendable(error) from error
        may_repeat = call.repeatable or isinstance(error, _NEVER_SENT)
        if self._is_last(call, attempt) or not may_repeat or isinstance(error, httpx.UnsupportedProtocol):
            raise unreachable(error, address) from error
        return self._pause(attempt)

    def after_answer(self, call: Call[Any], attempt: int, response: httpx.Response) -> float | None:
        """Return the seconds to wait before the next attempt, or None if this response is the final one.

        A call with a 429 was refused before it had an effect, so every call may be repeated. Behind a 502 or
        504 the call may have been carried out, so only repeatable calls are.
        """
        may_repeat = response.status_code == _TOO_MANY or (call.repeatable and response.status_code in _NOT_NOW)
        if not may_repeat or self._is_last(call, attempt):
            return None
        retry_after = response.headers.get("Retry-After", "")
        if not retry_after.isdecimal():
            return self._pause(attempt)
        if int(retry_after) > self.longest_retry_after_seconds:
            return None
        return int(retry_after) + self._pause(attempt)

    def _is_last(self, call: Call[Any], attempt: int) -> bool:
        return call.once or attempt >= self.attempts

    def _pause(self, attempt: int) -> float:
        ceiling = min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (attempt - 1))
        return random.uniform(0, ceiling)  # noqa: S311  spreads load, keeps no secret


def unsendable(error: httpx.InvalidURL) -> Unprocessable:
    """Return the error for arguments that do not fit into an address."""
    return Unprocessable(f"The call cannot be sent: {error}", code="invalid")


def unreachable(error: Exception, address: str) -> Unavailable:
    """Return the error that a failed connection means."""
    return Unavailable(_sentence(error, address), code="unreachable")


def _sentence(error: Exception, address: str) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"Cannot reach Jobtrack at {address}: {str(error) or 'the connection timed out'}"
    if isinstance(error, httpx.TimeoutException):
        return f"Jobtrack at {address} did not answer in time"
    return f"The connection to Jobtrack at {address} broke: {str(error) or type(error).__name__}"
