"""What becomes of a batch and of each of its requests: the words between a group writer and what it applies."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from app.db.connection import Connection
from app.db.engine import Database
from app.domain.errors import JobtrackError
from app.live.change_feed import Change

Request = TypeVar("Request")
Result = TypeVar("Result")


class Deferred(Enum):
    """Outcome of a request whose row is locked by another transaction; it is retried with the next batch."""

    BUSY = "busy"


Outcome: TypeAlias = Result | JobtrackError | Deferred


@dataclass(frozen=True, slots=True)
class Applied(Generic[Result]):
    """The outcomes of a batch, one per request and in order, and the changes to announce after the commit."""

    outcomes: Sequence[Outcome[Result]]
    changes: Sequence[Change] = field(default=())


@dataclass(frozen=True, slots=True)
class Partly(Generic[Result]):
    """What was done of a batch without a transaction: outcomes by position, and changes that are committed. A request
    that is left out was certainly not done.
    """

    outcomes: Mapping[int, Outcome[Result]] = field(default_factory=dict)
    changes: Sequence[Change] = field(default=())


Apply: TypeAlias = Callable[[Connection, Sequence[Request]], Awaitable[Applied[Result]]]
ApplyAtOnce: TypeAlias = Callable[[Database, Sequence[Request]], Awaitable[Partly[Result]]]
