"""The responses of events and logs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from app.api.wire import Answer
from app.domain.states import JobState


class EventOut(Answer):
    """An event of a job."""

    id: str = Field(description="An opaque cursor: streams resume after it, in the same database cluster.")
    type: str = Field(description="Event type, such as `job.completed`.")
    job_id: str = Field(json_schema_extra={"format": "uuid"})
    at: datetime
    attempt: int
    worker: str | None
    source: JobState | None = Field(alias="from")
    target: JobState = Field(alias="to")
    data: Any


class EventList(Answer):
    """A page of events, oldest first. A null `next_cursor` means that there are no more events at present."""

    events: list[EventOut]
    next_cursor: str | None


class LogLineOut(Answer):
    """A log line written by a worker."""

    line: int = Field(description="Line number, from 0, in order of arrival.")
    at: datetime
    attempt: int
    level: str
    message: str


class LogLines(Answer):
    """Lines of a job's log."""

    logs: list[LogLineOut]
    next_offset: int = Field(description="`offset` for the next request.")
    ended: bool = Field(description="Whether the log is complete: the job has ended and these are its last lines.")
