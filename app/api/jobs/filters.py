"""Filters of jobs: query parameters of the list, and bodies of the bulk operations."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.api.fields import Body, Id, Label, Labels, Name, Time
from app.api.jobs.list_wire import ListIncluded
from app.core.bulk import MOST_CANCELS, MOST_RERUNS
from app.domain.errors import InvalidError
from app.domain.field_error import FieldError
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.states import JobState
from app.web.cursors import CursorText, read_id_cursor
from app.web.params import WHOLE

State: TypeAlias = Annotated[JobState, Field(strict=False)]
States: TypeAlias = Annotated[list[State], Field(max_length=len(JobState))]
Names: TypeAlias = Annotated[list[Name], Field(max_length=20)]

_LABEL = re.compile(r"((?:[^\\:]|\\[\\:])+):(.*)", re.DOTALL)
MAX_LABEL_TEXT = 2 * 255 + 1 + 255
LabelText: TypeAlias = Annotated[
    str, Field(max_length=MAX_LABEL_TEXT, json_schema_extra={"pattern": r"^([^\\:]|\\[\\:])+:"})
]


class JobConditions(BaseModel):
    """The conditions that have the same form in a query and in a body; all given conditions must hold."""

    model_config = ConfigDict(frozen=True)

    status: States | None = Field(default=None, description="One of these statuses.")
    type: Names | None = Field(default=None, description="One of these types.")
    queue: Names | None = Field(default=None, description="One of these queues.")
    collection: Name | None = Field(default=None, description="Name of the collection.")
    created_after: Time | None = Field(default=None, description="Created at or after this time (RFC 3339).")
    created_before: Time | None = Field(default=None, description="Created before this time (RFC 3339).")

    def with_labels(self, labels: Iterable[tuple[str, Label]], original_job_id: UUID | None) -> JobFilter:
        """Return the filter of these conditions and of the two whose form differs between a query and a body."""
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
    """A filter of jobs: all given conditions must hold."""

    # An empty list would match nothing, and a query cannot express one.
    status: Annotated[States, Field(min_length=1)] | None = Field(default=None, description="One of these statuses.")
    type: Annotated[Names, Field(min_length=1)] | None = Field(default=None, description="One of these types.")
    queue: Annotated[Names, Field(min_length=1)] | None = Field(default=None, description="One of these queues.")
    labels: Labels = Field(default={}, description="Jobs with all of these labels.")
    original_job_id: Id | None = Field(default=None, description="Direct reruns of this job.")

    def to_domain(self) -> JobFilter:
        """Return the conditions in the domain's terms."""
        return self.with_labels(self.labels.items(), self.original_job_id)


class JobQuery(JobConditions):
    """The conditions as query parameters."""

    label: Annotated[list[LabelText], Field(max_length=50)] | None = Field(
        default=None,
        description="`name:value`, repeatable: jobs with all of these labels. Escape a colon or a backslash in the "
        "name with a backslash.",
    )
    original_job_id: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="Direct reruns of this job.", json_schema_extra={"format": "uuid"}
    )

    def to_domain(self) -> JobFilter:
        """Return the conditions in the domain's terms; raise if a label or the id is malformed."""
        labels = {_label(text) for text in self.label or ()}
        if self.original_job_id is None:
            return self.with_labels(labels, None)
        original_job_id = parse_id(self.original_job_id)
        if original_job_id is None:
            raise _wrong("original_job_id", "uuid", "This is not a UUID in lower case.")
        return self.with_labels(labels, original_job_id)


def _label(text: str) -> tuple[str, Label]:
    match = _LABEL.fullmatch(text)
    if match is None:
        raise _wrong("label", "label", "A label is written `name:value`.")
    return re.sub(r"\\(.)", r"\1", match[1]), match[2]


def _wrong(name: str, code: str, sentence: str) -> InvalidError:
    return InvalidError([FieldError(f"?{name}", code, sentence)])


def bound_of(job_filter: JobFilter) -> tuple[str, ...]:
    """Return the texts that bind a cursor to its filter: it is rejected with any other."""

    def words(values: frozenset[str] | None) -> str:
        return "-" if values is None else repr(sorted(values))

    def moment(value: datetime | None) -> str:
        return "-" if value is None else value.isoformat()

    return (
        "jobs",
        words(job_filter.states and frozenset(state.value for state in job_filter.states)),
        words(job_filter.types),
        words(job_filter.queues),
        repr(job_filter.collection),
        repr(job_filter.labels),
        moment(job_filter.created_after),
        moment(job_filter.created_before),
        str(job_filter.original_job_id),
    )


DEFAULT_LIMIT = 50


class ListJobsQuery(JobQuery):
    """Filter and page of a list of jobs."""

    limit: int = Field(
        default=DEFAULT_LIMIT,
        ge=0,
        description="Page size, 1-500 (default 50); larger values are capped, 0 means the default.",
    )
    cursor: CursorText | None = Field(
        default=None, description="`next_cursor` of the previous page, with the same filter."
    )
    include: Annotated[list[ListIncluded], Field(max_length=4)] | None = Field(
        default=None,
        description="Large fields to include: payload, result, billing. With `waiting`, why each job does not go on: a "
        "page has 100 jobs then at most.",
    )


class BulkIn(JobFilterIn):
    """Filter and page of a bulk operation. At least one condition is required."""

    cursor: CursorText | None = Field(
        default=None, description="`next_cursor` of the previous call, with the same filter."
    )
    dry_run: bool = Field(default=False, description="Count the matching jobs without changing them.")

    def before(self) -> UUID | None:
        """Return the id at which the previous call stopped."""
        bound = bound_of(self.to_domain())
        return None if self.cursor is None else read_id_cursor(self.cursor, *bound, pointer="/cursor")


class BulkCancelIn(BulkIn):
    """Cancel the matching jobs."""

    limit: Annotated[int, Field(ge=1, le=MOST_CANCELS), WHOLE] = MOST_CANCELS


class BulkRerunIn(BulkIn):
    """Rerun the matching jobs."""

    limit: Annotated[int, Field(ge=1, le=MOST_RERUNS), WHOLE] = MOST_RERUNS
    only_failed_items: bool = False
