"""When a call is sent again, and after how long: pure decisions, shared by both clients."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import httpx

from jobtrack_client.call import Call
from jobtrack_client.errors import Unavailable

_NOT_NOW = frozenset({502, 503, 504})
_TOO_MANY = 429
# After these no byte of the request has left, so that even a claim may be sent again.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """How stubborn a client is; the pauses double, with full jitter, so that a restarted service is not stormed."""

    attempts: int = 5
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    # A service that asks for more than this is better reported than waited for.
    longest_retry_after_seconds: float = 30.0

    def after_error(self, call: Call[Any], attempt: int, error: httpx.TransportError, address: str) -> float:
        """Give the seconds to wait after a connection that failed, or raise `Unavailable`."""
        may_repeat = call.repeatable or isinstance(error, _NEVER_SENT)
        if self._is_last(call, attempt) or not may_repeat or isinstance(error, httpx.UnsupportedProtocol):
            raise Unavailable(_sentence(error, address), code="unreachable") from error
        return self._pause(attempt)

    def after_answer(self, call: Call[Any], attempt: int, response: httpx.Response) -> float | None:
        """Give the seconds to wait before the next try, or None when this answer is the final one.

        A 429 was refused before it did anything, so every call may repeat it; a 502 or 504 may hide a
        call that was carried out, so only repeatable ones do.
        """
        may_repeat = response.status_code == _TOO_MANY or (call.repeatable and response.status_code in _NOT_NOW)
        if not may_repeat or self._is_last(call, attempt):
            return None
        asked = response.headers.get("Retry-After", "")
        if not asked.isdecimal():
            return self._pause(attempt)
        if int(asked) > self.longest_retry_after_seconds:
            return None
        return int(asked) + self._pause(attempt)

    def _is_last(self, call: Call[Any], attempt: int) -> bool:
        return call.once or attempt >= self.attempts

    def _pause(self, attempt: int) -> float:
        ceiling = min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** (attempt - 1))
        return random.uniform(0, ceiling)  # noqa: S311  spreads load, keeps no secret


def _sentence(error: httpx.TransportError, address: str) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"Cannot reach Jobtrack at {address}: {str(error) or 'the connection timed out'}"
    if isinstance(error, httpx.TimeoutException):
        return f"Jobtrack at {address} did not answer in time"
    return f"The connection to Jobtrack at {address} broke: {str(error) or type(error).__name__}"
