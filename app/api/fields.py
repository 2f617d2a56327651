"""The kinds of fields that native bodies are made of, each with its bounds.

Bodies are validated strictly as Python values, where pydantic would want a UUID and a datetime instead of text; so
those two read their text here. A bound on every number and text keeps out of statements
what PostgreSQL cannot hold.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.domain.ids import parse_id

MAX_INT = 2_147_483_647
MAX_BIGINT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1970, 9999


def read_time(value: object) -> datetime:
    """Read an RFC 3339 time with its offset; without one it would mean something else on every machine."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("rfc3339", "This is not an RFC 3339 time with an offset.")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PydanticCustomError("rfc3339", "This time does not exist.") from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise PydanticCustomError("rfc3339", "Times lie between the years 1970 and 9999.")
    return moment


def read_uuid(value: object) -> UUID:
    """Read an id as this service writes it."""
    parsed = parse_id(value) if isinstance(value, str) else None
    if parsed is None:
        raise PydanticCustomError("uuid", "This is not a UUID in lower case.")
    return parsed


Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Text: TypeAlias = Annotated[str, StringConstraints(max_length=4096)]
LogText: TypeAlias = Annotated[str, StringConstraints(max_length=16384)]
Uri: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Label: TypeAlias = Annotated[str, StringConstraints(max_length=255)]
IdText: TypeAlias = Annotated[str, StringConstraints(max_length=255)]
"""An id in a list: one of the wrong shape is merely unknown."""
Time: TypeAlias = Annotated[datetime, BeforeValidator(read_time)]
Id: TypeAlias = Annotated[UUID, BeforeValidator(read_uuid)]
LeaseSeconds: TypeAlias = Annotated[int, Field(ge=1, le=86_400)]
Size: TypeAlias = Annotated[int, Field(ge=0, le=MAX_BIGINT)]
Labels: TypeAlias = Annotated[dict[Name, Label], Field(max_length=50)]
AnyJson: TypeAlias = Annotated[Any, Field(description="Any JSON value.")]


class Body(BaseModel):
    """What every native body shares: strict types, and no field that the service does not know."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
