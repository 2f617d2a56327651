"""How long something is followed: over restarts of the service, its absences, and the longest time of one call.

Pure decisions that both clients share; `waits` and `walks` send the calls.
"""

from __future__ import annotations

import logging
import math
import time

import httpx

from jobtrack_client.errors import JobtrackError, Unavailable
from jobtrack_client.patience import LONGEST_PAUSE_SECONDS, pause_seconds

logger = logging.getLogger("jobtrack_client")

# How long a client that has never had an answer goes on: longer than a restart, then its address is taken for wrong.
FIRST_ANSWER_SECONDS = 90.0
_TOO_MANY = 429


class Follow:
    """The time that is left, and the pauses while there is no answer."""

    def __init__(self, seconds: float | None, *, answered: bool) -> None:
        """Begin; `seconds` is the time of the caller (None: no end), `answered` whether the address is known good."""
        now = time.monotonic()
        self._ends_at = None if seconds is None else now + seconds
        self._answered = answered
        self._first_answer_by = now + FIRST_ANSWER_SECONDS
        self._failures = 0

    def left(self) -> float | None:
        """Return the seconds that are left; None if there is no end."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def next_wait(self, longest: int | None = None) -> int:
        """Return how long the next call may wait, in whole seconds; -1 if neither caller nor call has an end."""
        left = self.left()
        seconds = -1 if left is None else math.ceil(left)
        if longest is None:
            return seconds
        return longest if left is None else min(seconds, longest)

    def after_answer(self, ended_by: str | None = None) -> float | None:
        """Return the pause before the next call; None if this answer is the final one, by why its wait ended."""
        # From now on an absence is an absence, and not a wrong address.
        self._answered = True
        self._failures = 0
        if ended_by == "shutdown":
            # Others serve, or will soon; this process would answer at once again.
            return self._next_pause()
        # What a single call may wait was over, not the time of the caller.
        return 0.0 if ended_by == "timeout" and self.left() != 0 else None

    def after_error(self, error: JobtrackError) -> float:
        """Return the pause before the next attempt; raise the error if it is final, or if the time is over."""
        if not isinstance(error, Unavailable) and error.status != _TOO_MANY:
            raise error
        left = self.left()
        is_wrong = error.code == "broken_answer" or time.monotonic() >= self._first_answer_by
        if left == 0 or (not self._answered and is_wrong):
            raise error
        logger.warning("%s; trying again", error)
        return self._next_pause()

    def _next_pause(self) -> float:
        self._failures += 1
        pause = pause_seconds(self._failures, LONGEST_PAUSE_SECONDS)
        left = self.left()
        return pause if left is None else min(pause, left)


def ended_by(response: httpx.Response, result: object) -> str | None:
    """Return why the service ended a wait: a GET has it in a header, a POST in its body. None if it does not say."""
    header: str | None = response.headers.get("Jobtrack-Wait-Ended")
    return header or (result.get("ended_by") if isinstance(result, dict) else None)
