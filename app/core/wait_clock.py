"""Time that a request has spent waiting, for the edge that measures it.

A wait of 50 seconds that is answered in 2 ms is a fast answer. The edge that times a request cannot see the difference,
and the code that waits does not know the request; both can reach a context variable, in the request's tasks too.
"""

from contextvars import ContextVar
from time import monotonic
from types import TracebackType


class Waited:
    """The waits of one request, which come one after the other."""

    __slots__ = ("_seconds", "_since")

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = monotonic()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._seconds = self.seconds()
        self._since = None

    def seconds(self) -> float:
        """Return how long the waits were up to now, including one in progress."""
        return self._seconds if self._since is None else self._seconds + monotonic() - self._since


_waited: ContextVar[Waited | None] = ContextVar("waited", default=None)


def time_waits() -> Waited:
    """Start to time the waits of this task and of those that it starts."""
    waited = Waited()
    _waited.set(waited)
    return waited


def timed_wait() -> Waited:
    """Return a context manager that adds the time spent inside it to the current request's wait time.

    Outside a timed request the measurement is discarded.
    """
    return _waited.get() or Waited()
