"""A job's log as its page shows it: the lines of an attempt, from a level up. Pure functions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from app.core.logs import LogPage
from app.domain.errors import InvalidError
from app.domain.event import LogLevel, LogRecord
from app.domain.field_error import FieldError

PAGE_LINES: Final = 500
LEVELS: Final = tuple(LogLevel)
_MAX: Final = 2**31 - 1
_MAX_OFFSET: Final = 2**63 - 1
_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines: of an attempt or of all, of a level and louder, from a line on."""

    job_id: str
    attempt: int | None = None
    level: LogLevel = LogLevel.DEBUG
    offset: int = 0
    is_continued: bool = False
    """Whether the address names a line, where lines that were shown end."""
    place: str = "all"
    """The part of the page that shows the lines."""

    @property
    def levels(self) -> Sequence[LogLevel] | None:
        """The levels to read, None for all."""
        return None if self.level is LEVELS[0] else LEVELS[LEVELS.index(self.level) :]

    def path(self, *, level: LogLevel | None = None, offset: int | None = None) -> str:
        """Write the address of a part of the log."""
        pairs: dict[str, str | int] = {}
        if self.attempt is not None:
            pairs["attempt"] = self.attempt
        if (shown := level or self.level) is not LEVELS[0]:
            pairs["level"] = shown.value
        if offset is not None:
            pairs["offset"] = offset
        if self.place != "all":
            pairs["place"] = self.place
        return f"/ui/jobs/{self.job_id}/log" + (f"?{urlencode(pairs)}" if pairs else "")


@dataclass(frozen=True, slots=True)
class Level:
    """A level to choose."""

    name: str
    path: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class LogLines:
    """Some lines, and what comes after them."""

    query: LogQuery
    levels: tuple[Level, ...]
    lines: tuple[LogRecord, ...]
    following: str | None
    """Where to ask for the next lines, None where there can be none."""
    follows: bool
    """Whether the next lines are yet to be written."""
    is_first: bool


def read_query(job_id: str, query: QueryParams) -> LogQuery:
    """Read which lines an address names."""
    level = query.get("level", LEVELS[0].value)
    if level not in LEVELS:
        raise InvalidError([FieldError("?level", "unknown_level", f"This is one of {', '.join(LEVELS)}.")])
    attempt = _number(query, "attempt", _MAX)
    place = _number(query, "place", _MAX)
    return LogQuery(
        job_id,
        attempt,
        LogLevel(level),
        _number(query, "offset", _MAX_OFFSET) or 0,
        is_continued="offset" in query,
        place="all" if place is None else str(place),
    )


def _number(query: QueryParams, name: str, most: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most):
        raise InvalidError([FieldError(f"?{name}", "no_number", f"This is a number from 0 to {most:,}.")])
    return int(text)


def lines_of(query: LogQuery, page: LogPage) -> LogLines:
    """Return what a part of the log shows."""
    return LogLines(
        query=query,
        levels=tuple(_level(query, level) for level in LEVELS),
        lines=tuple(_plain(line) for line in page.lines),
        following=None if page.ended else query.path(offset=page.next_offset),
        follows=not page.more,
        is_first=not query.is_continued,
    )


def _level(query: LogQuery, level: LogLevel) -> Level:
    name = "all" if level is LEVELS[0] else level.value
    return Level(name, query.path(level=level), level is query.level)


def _plain(line: LogRecord) -> LogRecord:
    """Leave out the codes by which terminals colour."""
    return replace(line, message=_ANSI.sub("", line.message))
