"""Lists of the service, page by page: no more is requested than is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

MOST = 500
"""Rows of the largest page that every list has."""


def rows_of(read: Callable[..., Any], name: str, limit: int | None = None, **conditions: Any) -> Iterator[Any]:
    """Yield the rows of a list, at most `limit`; `read` reads a page, in which they are called `name`."""
    cursor: str | None = ""
    left = limit
    while cursor is not None and left != 0:
        page = read(limit=MOST if left is None else min(left, MOST), cursor=cursor or None, **conditions)
        rows = page[name] if left is None else page[name][:left]
        yield from rows
        left = None if left is None else left - len(rows)
        cursor = page["next_cursor"]
