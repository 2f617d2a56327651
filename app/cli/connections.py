"""How many connections this process takes: as many as it has descriptors for, less those that it needs itself.

A process without a free descriptor accepts nobody, probes included, and says nothing. So beyond `most` the connection
that has been idle longest makes room; where none is idle, a few more are taken for the paths that tell how the process
is, and all else is refused there.
"""

import contextlib
import logging
import resource
import time
from collections.abc import Callable
from typing import Final, Protocol

log = logging.getLogger("jobtrack")

DESCRIPTORS: Final = 65_536
"""What the limit is raised to at most: more than the waits and streams that a process may hold."""
OWN_DESCRIPTORS: Final = 64
"""For what is neither a client nor in the pool: the log, the listening socket, the change feed, files to send."""
PROBES: Final = 16
"""How many connections are taken beyond `most`."""
PROBE_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics"})
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 10.0
WARN_SECONDS: Final = 60.0


class Evictable(Protocol):
    """A connection that can be asked to go."""

    reserved: bool

    def evict(self) -> None:
        """Close the connection, which has no request under way."""


class Connections:
    """The connections of one process: how many there are, and which are idle."""

    def __init__(
        self,
        most: int = DESCRIPTORS,
        *,
        head_seconds: float = HEAD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.head_seconds = head_seconds
        self._clock = clock
        self._ordinary: dict[Evictable, None] = {}
        """The open ones, but for those that were evicted."""
        self._reserved: dict[Evictable, None] = {}
        self._idle: dict[Evictable, None] = {}
        """The longest idle first."""
        self._idle_reserved: dict[Evictable, None] = {}
        self._warned_at = float("-inf")

    def opened(self, connection: Evictable) -> None:
        """Find a place for a new connection: an ordinary one, or one for probes only."""
        if len(self._ordinary) < self.most or self._evict(self._idle, self._ordinary):
            self._ordinary[connection] = None
            self._idle[connection] = None
            return
        connection.reserved = True
        self._reserved[connection] = None
        self._idle_reserved[connection] = None
        if len(self._reserved) > PROBES:
            self._evict(self._idle_reserved, self._reserved)

    def began(self, connection: Evictable) -> None:
        """Note that a connection has a request under way."""
        (self._idle_reserved if connection.reserved else self._idle).pop(connection, None)

    def rested(self, connection: Evictable) -> None:
        """Note that a connection has none any more."""
        places, idle = (self._reserved, self._idle_reserved) if connection.reserved else (self._ordinary, self._idle)
        if connection in places:
            idle[connection] = None

    def lost(self, connection: Evictable) -> None:
        """Forget a connection that is closed."""
        for places in (self._ordinary, self._reserved, self._idle, self._idle_reserved):
            places.pop(connection, None)

    def _evict(self, idle: dict[Evictable, None], places: dict[Evictable, None]) -> bool:
        """Close the longest idle connection of a kind; return whether there was one."""
        self._warn()
        for connection in idle:
            del idle[connection]
            places.pop(connection, None)
            connection.evict()
            return True
        return False

    def _warn(self) -> None:
        now = self._clock()
        if now - self._warned_at >= WARN_SECONDS:
            self._warned_at = now
            log.warning(
                "all %d connections of this process are taken: the longest idle ones are closed for new ones, and with "
                "none idle only probes are answered; raise the limit of open files (ulimit -n)",
                self.most,
            )


def connections_for(pool_size: int) -> Connections:
    """Raise the limit of open files, and return how many connections it leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    highest = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if limit < highest:
        # Some kernels allow less than what they call the limit.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            limit = highest
    return Connections(max(PROBES, limit - OWN_DESCRIPTORS - pool_size - PROBES))
