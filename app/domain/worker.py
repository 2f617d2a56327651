"""Workers as the service knows them: by the claims that they send."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

PRESENT_SECONDS: Final = 60
"""A worker that asked for jobs within this time is there. One that holds a job is there as well, however silent."""
MOST_NAMES: Final = 20
"""Names of queues, and of types, that are kept of one worker."""
MOST_WORKERS: Final = 1_000
"""Workers that are kept of a project: the longest silent go first."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that has asked for jobs within a day. Names of None are any."""

    name: str
    queues: tuple[str, ...] | None
    types: tuple[str, ...] | None
    more_queues: bool
    """Whether there are more than are kept."""
    more_types: bool
    client: str | None
    """What its claims say about the program."""
    asked_at: datetime
    present: bool
    held: int
    """Jobs that it holds."""
