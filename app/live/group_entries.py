"""Requests that wait for their batch, and how their callers are answered."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Generic

from app.domain.errors import UnavailableError
from app.live.outcomes import Deferred, Request, Result

LONGEST_DEFERRAL_SECONDS: Final = 2.0


@dataclass(slots=True)
class Entry(Generic[Request, Result]):
    """One request, and where its caller waits for the outcome."""

    request: Request
    future: "asyncio.Future[Result | Exception]"
    rows: int
    """How many it writes."""
    deferred_at: float | None = None

    def answer(self, outcome: Result | Exception | Deferred) -> bool:
        """Answer the caller; False if the request has to wait for another batch."""
        if isinstance(outcome, Deferred):
            now = asyncio.get_running_loop().time()
            self.deferred_at = self.deferred_at or now
            if now - self.deferred_at < LONGEST_DEFERRAL_SECONDS:
                return False
            outcome = UnavailableError("Another call holds this job or its queue just now; nothing was changed.")
        if not self.future.done():
            self.future.set_result(outcome)
        return True


def fail(entries: Iterable[Entry[Any, Any]], error: Exception) -> None:
    """Answer the callers that have no answer yet with an error."""
    for entry in entries:
        if not entry.future.done():
            entry.future.set_result(error)


def stood_behind() -> UnavailableError:
    """Return the error of those that stood behind a batch without an answer."""
    return UnavailableError("The database did not answer in time; nothing was changed.")
