"""The request that a handler stop, and what is raised in the handler because of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from jobtrack_client.errors import LeaseLost, Unprocessable

Reason = Literal["stopping", "cancel", "too_long", "refused", "lost"]
_STRENGTH: dict[Reason | None, int] = {None: 0, "stopping": 1, "cancel": 2, "too_long": 3, "refused": 4, "lost": 5}


class JobCancelled(Exception):  # noqa: N818  names the state, not a defect
    """The handler should stop: cancellation was requested, the worker is stopping, or the handler ran for too long."""


class Stop:
    """A request that the handler stop, with its reason. Any thread may make it.

    `stopping` and `cancel` lead to a release, `too_long` and `refused` (the service rejected what the handler may not
    lose) to a failure, `lost` to nothing, because the job may no longer be written to. When there are several reasons,
    the one that comes later in this list counts.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.reason: Reason | None = None
        self.detail = ""
        self._lock = threading.Lock()
        self._listener: Callable[[], object] | None = None

    def request(self, reason: Reason, detail: str) -> None:
        """Request the stop; an earlier request is replaced only by a stronger reason."""
        with self._lock:
            if _STRENGTH[reason] <= _STRENGTH[self.reason]:
                return
            first = self.reason is None
            self.reason, self.detail = reason, detail
        self.event.set()
        if first and self._listener is not None:
            self._listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call the listener when a stop is requested, from the thread that requests it; at once if it has been."""
        with self._lock:
            self._listener = listener
            requested = self.reason is not None
        if requested:
            listener()

    def check(self) -> None:
        """Raise the exception for the reason if a stop was requested."""
        if self.reason == "lost":
            raise LeaseLost(self.detail, code="lease_lost", status=409)
        if self.reason == "refused":
            raise Unprocessable(self.detail, code="report_refused", status=422)
        if self.reason is not None:
            raise JobCancelled(self.detail)
