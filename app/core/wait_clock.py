"""How long a request has done nothing but wait, for the edge that times it.

A wait of 50 seconds that is answered in 2 ms is a fast answer. The edge that times a request cannot see the difference,
and what waits knows no request; a context variable is what both can reach, in the tasks of the request too.
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
        """Return how long the waits were up to now, one that goes on included."""
        return self._seconds if self._since is None else self._seconds + monotonic() - self._since


_waited: ContextVar[Waited | None] = ContextVar("waited", default=None)


def time_waits() -> Waited:
    """Begin to time the waits of this task and of those that it starts."""
    waited = Waited()
    _waited.set(waited)
    return waited


def timed_wait() -> Waited:
    """Return a context manager that adds the time spent inside it to the current request's wait time.

    Outside a timed request the measurement is discarded.
    """
    return _waited.get() or Waited()
