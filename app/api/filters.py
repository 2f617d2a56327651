"""The conditions on jobs: as query parameters of the list, as a body of the calls about many jobs."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypeAlias

from fastapi import Query
from pydantic import Field

from app.api.fields import Body, Id, Label, Labels, Name, Time
from app.domain.errors import FieldError, InvalidError
from app.domain.ids import parse_id
from app.domain.job_filter import JobFilter
from app.domain.states import JobState

State: TypeAlias = Annotated[JobState, Field(strict=False)]
Names: TypeAlias = Annotated[list[Name], Field(min_length=1, max_length=20)]

_LABEL = re.compile(r"((?:[^\\:]|\\[\\:])+):(.*)", re.DOTALL)
MAX_LABEL_TEXT = 2 * 255 + 1 + 255


class JobFilterIn(Body):
    """Which jobs: all conditions that are given must hold."""

    status: list[State] | None = Field(default=None, min_length=1, max_length=len(JobState))
    type: Names | None = None
    queue: Names | None = None
    collection: Name | None = None
    labels: Labels = Field(default={}, description="Jobs that have all of these.")
    created_after: Time | None = Field(default=None, description="Inclusive.")
    created_before: Time | None = Field(default=None, description="Exclusive.")
    original_job_id: Id | None = Field(default=None, description="Direct reruns of this job.")

    def to_domain(self) -> JobFilter:
        """Say it in the domain's words."""
        return JobFilter(
            states=None if self.status is None else frozenset(self.status),
            types=None if self.type is None else frozenset(self.type),
            queues=None if self.queue is None else frozenset(self.queue),
            collection=self.collection,
            labels=tuple(sorted(self.labels.items())),
            created_after=self.created_after,
            created_before=self.created_before,
            original_job_id=self.original_job_id,
        )


async def query_filter(
    status: Annotated[list[JobState] | None, Query(description="One of these.", max_length=len(JobState))] = None,
    type: Annotated[list[Name] | None, Query(description="One of these types.", max_length=20)] = None,  # noqa: A002
    queue: Annotated[list[Name] | None, Query(description="In one of these queues.", max_length=20)] = None,
    collection: Annotated[Name | None, Query(description="In this collection.")] = None,
    label: Annotated[
        list[Annotated[str, Field(max_length=MAX_LABEL_TEXT)]] | None,
        Query(
            description="`name:value`, may be repeated: jobs that have all of these. A colon or a backslash in the "
            "name is written with a backslash before it.",
            max_length=50,
        ),
    ] = None,
    created_after: Annotated[Time | None, Query(description="Created then or later (RFC 3339).")] = None,
    created_before: Annotated[Time | None, Query(description="Created earlier than this (RFC 3339).")] = None,
    original_job_id: Annotated[
        str | None,
        Query(max_length=255, description="Direct reruns of this job.", json_schema_extra={"format": "uuid"}),
    ] = None,
) -> JobFilter:
    """Read the conditions from the query."""
    wanted = JobFilter(
        states=frozenset(status) if status else None,
        types=frozenset(type) if type else None,
        queues=frozenset(queue) if queue else None,
        collection=collection,
        labels=tuple(sorted({_label(text) for text in label or ()})),
        created_after=created_after,
        created_before=created_before,
    )
    if original_job_id is None:
        return wanted
    parsed = parse_id(original_job_id)
    if parsed is None:
        raise _wrong("original_job_id", "uuid", "This is not a UUID in lower case.")
    return replace(wanted, original_job_id=parsed)


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
