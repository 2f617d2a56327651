"""Pages of keys and projects, newest first."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Query

from app.domain import times
from app.web.cursors import CursorText, read_cursor, write_cursor

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
_MICROSECOND = timedelta(microseconds=1)
Limit = Annotated[int, Query(ge=0, description="About this many, up to 500; more is taken as 500, 0 as the default.")]
Cursor = Annotated[CursorText | None, Query(description="`next_cursor` of the page before.")]


def moment_of(cursor: str | None, *bound: str) -> datetime | None:
    """Read the moment before which a page begins."""
    if cursor is None:
        return None
    return times.FIRST + _MICROSECOND * read_cursor(cursor, *bound, most=_microseconds(times.END))


def _microseconds(moment: datetime) -> int:
    return (moment - times.FIRST) // _MICROSECOND


def cursor_of(moment: datetime | None, *bound: str) -> str | None:
    """Write the moment before which the next page begins."""
    return None if moment is None else write_cursor(_microseconds(moment), *bound)


def page_size(limit: int) -> int:
    """Bring a limit to what a page may be."""
    return min(limit, MAX_LIMIT) or DEFAULT_LIMIT
