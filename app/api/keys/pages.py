"""Pages of keys and projects, newest first."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from app.domain import times
from app.web.cursors import CursorText, read_cursor, write_cursor

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
Limit = Annotated[
    int,
    Query(
        ge=0, description="Approximate page size, 1-500 (default 50); larger values are capped, 0 means the default."
    ),
]
Cursor = Annotated[CursorText | None, Query(description="`next_cursor` of the previous page.")]


def moment_of(cursor: str | None, *bound: str) -> datetime | None:
    """Read from a cursor the time before which a page begins."""
    if cursor is None:
        return None
    return times.FIRST + times.MICROSECOND * read_cursor(cursor, *bound, most=times.microseconds(times.END))


def cursor_of(moment: datetime | None, *bound: str) -> str | None:
    """Return the cursor of the next page, which begins before `moment`."""
    return None if moment is None else write_cursor(times.microseconds(moment), *bound)


def page_size(limit: int) -> int:
    """Return the page size for a requested limit."""
    return min(limit, MAX_LIMIT) or DEFAULT_LIMIT
