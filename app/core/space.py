"""Room for more: the free bytes of the embedded database's volume, and what a database says when its disk is full."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from app.domain.errors import NoSpaceError

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
"""How long the count of free bytes is used: a disk that is full fills no faster."""
SAID_SECONDS: Final = 60.0
"""How long the database's own word counts, and how often a line is written."""

_FULL: Final = "The database's disk is full: free some space on it."


class Space:
    """Whether the database can store more.

    `free_bytes` reads how much room its volume has, and `least_bytes` is what is kept for those that work already:
    creations and uploads are refused below it. Without it (the disk is another machine's) only the database knows.
    """

    def __init__(
        self,
        free_bytes: Callable[[], int] | None = None,
        *,
        least_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = free_bytes
        self._least_bytes = least_bytes
        self._clock = clock
        self._free: int | None = None
        self._looked_at = self._full_at = self._written_at = float("-inf")

    @property
    def least_bytes(self) -> int:
        """The free bytes below which nothing new is taken."""
        return self._least_bytes

    @property
    def is_watched(self) -> bool:
        """Whether the free bytes can be read."""
        return self._read is not None

    def free_bytes(self) -> int | None:
        """Return the free bytes of the database's volume, a second old at most; None where nobody can know."""
        now = self._clock()
        if self._read is not None and now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            try:
                self._free = self._read()
            except OSError:
                self._free = None
        return self._free

    def check(self) -> None:
        """Raise NoSpaceError unless there is room for something new."""
        if shortage := self._shortage():
            self._write(shortage)
            raise NoSpaceError(shortage)

    def note_full(self, cause: BaseException) -> None:
        """Note that the database has refused a statement because its disk is full."""
        self._full_at = self._clock()
        self._write(_FULL, cause)

    def failures(self) -> dict[str, str]:
        """Return the failed check of readiness, if it is one."""
        shortage = self._shortage()
        if shortage is None and self._clock() - self._full_at < SAID_SECONDS:
            shortage = _FULL
        if shortage is None:
            return {}
        self._write(shortage)
        return {NoSpaceError.code: shortage}

    def _shortage(self) -> str | None:
        free = self.free_bytes()
        if free is None or free >= self._least_bytes:
            return None
        return (
            f"The disk of the database has {free // 2**20} MiB left, and {self._least_bytes // 2**20} are kept for "
            "jobs that run: free some space on it."
        )

    def _write(self, message: str, cause: BaseException | None = None) -> None:
        now = self._clock()
        if now - self._written_at >= SAID_SECONDS:
            self._written_at = now
            log.error(
                NoSpaceError.code, reason=message, free_bytes=self._free, cause=None if cause is None else str(cause)
            )
