"""What happened to jobs, as it is read back: events and log lines."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from app.domain.states import JobState


class LogLevel(StrEnum):
    """How loud a log line is, the quietest first."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Position(NamedTuple):
    """A place in the order in which events became visible: by transaction, then by row.

    Ids alone would not do: a transaction that began earlier may commit later, behind a reader's back.
    """

    xid: int
    id: int
    epoch: int = 0
    """Which cluster's transactions are counted: those of another one are no places in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEventRecord:
    """One event of one job."""

    position: Position
    project_id: UUID
    job_id: UUID
    type: str
    at: datetime
    attempt: int
    worker: str | None
    source: JobState | None
    target: JobState
    data: Any
    queue: str


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line that a worker wrote, numbered from 0 within its job."""

    line: int
    at: datetime
    attempt: int
    level: str
    message: str
