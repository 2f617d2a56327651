"""The conditions on jobs: as query parameters of the list, as a body of the calls about many jobs."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.api.fields import Body, Id, Label, Labels, Name, Time
from app.api.jobs.wire import Included
from app.core.bulk import MOST_CANCELS, MOST_RERUNS
from app.domain.errors import FieldError, InvalidError
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.states import JobState
from app.web.cursors import CursorText, read_id_cursor

State: TypeAlias = Annotated[JobState, Field(strict=False)]
States: TypeAlias = Annotated[list[State], Field(max_length=len(JobState))]
Names: TypeAlias = Annotated[list[Name], Field(max_length=20)]

_LABEL = re.compile(r"((?:[^\\:]|\\[\\:])+):(.*)", re.DOTALL)
MAX_LABEL_TEXT = 2 * 255 + 1 + 255
LabelText: TypeAlias = Annotated[str, Field(max_length=MAX_LABEL_TEXT)]


class JobConditions(BaseModel):
    """The conditions that a query and a body write alike; all that are given must hold."""

    model_config = ConfigDict(frozen=True)

    status: States | None = Field(default=None, description="One of these.")
    type: Names | None = Field(default=None, description="One of these types.")
    queue: Names | None = Field(default=None, description="In one of these queues.")
    collection: Name | None = Field(default=None, description="In this collection.")
    created_after: Time | None = Field(default=None, description="Created then or later (RFC 3339).")
    created_before: Time | None = Field(default=None, description="Created earlier than this (RFC 3339).")

    def with_labels(self, labels: Iterable[tuple[str, Label]], original_job_id: UUID | None) -> JobFilter:
        """Return the filter of these conditions and of the two that a query and a body write differently."""
        return JobFilter(
            states=None if self.status is None else frozenset(self.status),
            types=None if self.type is None else frozenset(self.type),
            queues=None if self.queue is None else frozenset(self.queue),
            collection=self.collection,
            labels=tuple(sorted(labels)),
            created_after=self.created_after,
            created_before=self.created_before,
            original_job_id=original_job_id,
        )


class JobFilterIn(Body, JobConditions):
    """Which jobs: all conditions that are given must hold."""

    # An empty list would match nothing; a query cannot even write one.
    status: Annotated[States, Field(min_length=1)] | None = Field(default=None, description="One of these.")
    type: Annotated[Names, Field(min_length=1)] | None = Field(default=None, description="One of these types.")
    queue: Annotated[Names, Field(min_length=1)] | None = Field(default=None, description="In one of these queues.")
    labels: Labels = Field(default={}, description="Jobs that have all of these.")
    original_job_id: Id | None = Field(default=None, description="Direct reruns of this job.")

    def to_domain(self) -> JobFilter:
        """Return the conditions in the domain's terms."""
        return self.with_labels(self.labels.items(), self.original_job_id)


class JobQuery(JobConditions):
    """The conditions as query parameters."""

    label: Annotated[list[LabelText], Field(max_length=50)] | None = Field(
        default=None,
        description="`name:value`, may be repeated: jobs that have all of these. A colon or a backslash in the "
        "name is written with a backslash before it.",
    )
    original_job_id: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="Direct reruns of this job.", json_schema_extra={"format": "uuid"}
    )

    def to_domain(self) -> JobFilter:
        """Return the conditions in the domain's terms; raise if a label or the id is not written as one."""
        labels = {_label(text) for text in self.label or ()}
        if self.original_job_id is None:
            return self.with_labels(labels, None)
        original_job_id = parse_id(self.original_job_id)
        if original_job_id is None:
            raise _wrong("original_job_id", "uuid", "This is not a UUID in lower case.")
        return self.with_labels(labels, original_job_id)


def _label(text: str) -> tuple[str, Label]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise _wrong("label", "label", "A label is written `name:value`.")
    return re.sub(r"\\(.)", r"\1", found[1]), found[2]


def _wrong(name: str, code: str, sentence: str) -> InvalidError:
    return InvalidError("The request is not valid.", (FieldError(f"?{name}", code, sentence),))


def bound_of(wanted: JobFilter) -> tuple[str, ...]:
    """Write a filter as what a cursor is bound to: with another filter it is refused."""

    def words(values: frozenset[str] | None) -> str:
        return "-" if values is None else repr(sorted(values))

    def moment(value: datetime | None) -> str:
        return "-" if value is None else value.isoformat()

    return (
        "jobs",
        words(wanted.states and frozenset(state.value for state in wanted.states)),
        words(wanted.types),
        words(wanted.queues),
        repr(wanted.collection),
        repr(wanted.labels),
        moment(wanted.created_after),
        moment(wanted.created_before),
        str(wanted.original_job_id),
    )


DEFAULT_LIMIT = 50


class ListJobsQuery(JobQuery):
    """Which jobs, and how many of them at a time."""

    limit: int = Field(
        default=DEFAULT_LIMIT,
        ge=0,
        description="At most this many, up to 500; more is taken as 500, 0 as the default.",
    )
    cursor: CursorText | None = Field(default=None, description="`next_cursor` of the page before, same filter.")
    include: Annotated[list[Included], Field(max_length=3)] | None = Field(
        default=None, description="Large parts to show: payload, result, billing."
    )


class BulkIn(JobFilterIn):
    """Which jobs, and how many of them at a time. At least one condition must be given."""

    cursor: CursorText | None = Field(default=None, description="`next_cursor` of the call before, same filter.")
    dry_run: bool = Field(default=False, description="Count what matches, and change nothing.")

    def before(self) -> UUID | None:
        """Give where the last call stopped."""
        bound = bound_of(self.to_domain())
        return None if self.cursor is None else read_id_cursor(self.cursor, *bound, pointer="/cursor")


class BulkCancelIn(BulkIn):
    """Cancel what matches."""

    limit: int = Field(default=MOST_CANCELS, ge=1, le=MOST_CANCELS)


class BulkRerunIn(BulkIn):
    """Rerun what matches."""

    limit: int = Field(default=MOST_RERUNS, ge=1, le=MOST_RERUNS)
    only_failed_items: bool = False
