"""The responses of events and logs."""

from datetime import datetime
from typing import Any

from pydantic import Field

from app.api.wire import Answer
from app.domain.states import JobState


class EventOut(Answer):
    """Something that happened to a job."""

    id: str = Field(description="An opaque cursor: streams resume behind it.")
    type: str = Field(description="`job.` and what happened.")
    job_id: str = Field(json_schema_extra={"format": "uuid"})
    at: datetime
    attempt: int
    worker: str | None
    source: JobState | None = Field(alias="from")
    target: JobState = Field(alias="to")
    data: Any


class EventList(Answer):
    """A page of events, the oldest first. Only a null `next_cursor` is the end, for now."""

    events: list[EventOut]
    next_cursor: str | None


class LogLineOut(Answer):
    """One line that a worker wrote."""

    line: int = Field(description="From 0, in the order in which they came.")
    at: datetime
    attempt: int
    level: str
    message: str


class LogLines(Answer):
    """Lines of a job's log."""

    logs: list[LogLineOut]
    next_offset: int = Field(description="Ask with this `offset` for what comes next.")
    ended: bool = Field(description="There can be no more lines: the job has ended, and these are its last.")
