"""The kinds of fields that native bodies are made of, each with its bounds.

Bodies are validated strictly as Python values, where pydantic would want a UUID and a datetime instead of text; so
those two read their text here. A bound on every number and text keeps out of statements
what PostgreSQL cannot hold.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError, to_json

from app.domain import times
from app.domain.ids import parse_id
from app.domain.json_text import JsonText
from app.domain.names import NO_ADDRESS, NO_CONTROL, name_fault, queue_name_fault
from app.web.body import TypedReader
from app.web.params import WHOLE

MAX_INT = 2_147_483_647
MAX_BIGINT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FIRST, _END = (moment.isoformat().replace("+00:00", "Z") for moment in (times.FIRST, times.END))
_BOUNDS = f"Times lie from {_FIRST} on and before {_END}; an end that never comes is null."


def read_time(value: object) -> datetime:
    """Read an RFC 3339 time with its offset; without one it would mean something else on every machine."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("rfc3339", "This is not an RFC 3339 time with an offset.")
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        raise PydanticCustomError("rfc3339", "This time does not exist.") from None
    # Compared before it is moved to UTC, where the first and the last hours of the calendar have no place.
    if not times.FIRST <= moment < times.END:
        raise PydanticCustomError("rfc3339", _BOUNDS)
    return moment.astimezone(UTC)


def _microseconds(value: float) -> float:
    return round(value, 6)


ROUNDED = AfterValidator(_microseconds)
"""Rounds seconds to PostgreSQL's microseconds. A part of a much shorter length underflows there, which is an error."""


def read_uuid(value: object) -> UUID:
    """Read an id as this service writes it."""
    parsed = parse_id(value) if isinstance(value, str) else None
    if parsed is None:
        raise PydanticCustomError("uuid", "This is not a UUID in lower case.")
    return parsed


def json_text(value: object) -> JsonText | None:
    """Write a document as it is stored and answered. Null is none."""
    return None if value is None else JsonText(to_json(value).decode())


def _checked(fault: Callable[[str], str | None]) -> Callable[[str], str]:
    """Return a validator that refuses a name which has a fault."""

    def check(name: str) -> str:
        if found := fault(name):
            raise PydanticCustomError("name", found)
        return name

    return check


Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=255)]
NewType: TypeAlias = Annotated[
    Name, AfterValidator(_checked(name_fault)), Field(json_schema_extra={"pattern": NO_CONTROL})
]
NewQueue: TypeAlias = Annotated[
    Name,
    AfterValidator(_checked(queue_name_fault)),
    Field(json_schema_extra={"pattern": NO_CONTROL, "not": {"pattern": NO_ADDRESS}}),
]
"""A name where it is new; elsewhere it is a `Name`, for jobs and queues of before have others."""
Text: TypeAlias = Annotated[str, StringConstraints(max_length=4096)]
LogText: TypeAlias = Annotated[str, StringConstraints(max_length=16384)]
Uri: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Label: TypeAlias = Annotated[str, StringConstraints(max_length=255)]
IdText: TypeAlias = Annotated[str, StringConstraints(max_length=255)]
"""An id in a list: one of the wrong shape is merely unknown."""
Time: TypeAlias = Annotated[
    datetime,
    BeforeValidator(read_time),
    # JSON Schema has no word for the bounds of a time; these are the ones that validators know.
    Field(json_schema_extra={"formatMinimum": _FIRST, "formatExclusiveMaximum": _END}),
]
Id: TypeAlias = Annotated[UUID, BeforeValidator(read_uuid)]
Seconds: TypeAlias = Annotated[int, Field(ge=0, le=MAX_INT), WHOLE]
MAX_EXPECTED_SECONDS = 31_536_000
"""A year."""
ExpectedSeconds: TypeAlias = Annotated[int, Field(ge=1, le=MAX_EXPECTED_SECONDS), WHOLE]
LeaseSeconds: TypeAlias = Annotated[int, Field(ge=1, le=86_400), WHOLE]
Size: TypeAlias = Annotated[int, Field(ge=0, le=MAX_BIGINT), WHOLE]
Labels: TypeAlias = Annotated[dict[Name, Label], Field(max_length=50)]
AnyJson: TypeAlias = Annotated[Any, Field(description="Any JSON value.")]
Document: TypeAlias = Annotated[AnyJson, AfterValidator(json_text)]
"""Any JSON value that is only kept and shown."""


class Body(BaseModel):
    """Base of all native request bodies: strict types, and no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    typed_reader: ClassVar[TypedReader | None] = None
    """What `app.api.typed` adds to busy bodies. Not inherited: a model that adds fields has its own, or none."""
