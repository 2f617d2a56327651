"""The range of times: from 1970 on, and before the last second of the year 9999."""

from datetime import UTC, datetime, timedelta
from typing import Final

FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""Every time lies before this one, which is what programs write for "never". A time without end is None here: the
driver stores Python's last moment as `infinity` and reads that back without an offset, so that nothing compares with
it, and a calendar in any other time zone has no room for it.
"""
MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return the whole microseconds of a time since the first one: its place in a cursor."""
    return (moment - FIRST) // MICROSECOND
