"""Times and durations: what people type, read strictly; what the service says, in words and in the viewer's zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from app.cli.choices import shown

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EXAMPLES = "such as 2026-11-27T08:00 (in your zone) or 2026-11-27T08:00:00Z"


def duration(text: str) -> timedelta:
    """Parse a duration: a number and its unit."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{shown(text)} is not a duration such as 90s, 30m, 24h, 7d or 2w.")
    try:
        return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise typer.BadParameter(f"{shown(text)} is longer than the calendar.") from None


def time(text: str) -> datetime:
    """Parse a time in the format of ISO 8601; one without an offset is in the viewer's zone."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{shown(text)} is not a time {_EXAMPLES}.") from None


def since(text: str) -> datetime:
    """Parse a time, or how long ago it was."""
    try:
        if _DURATION.fullmatch(text):
            return datetime.now(UTC) - duration(text)
        return time(text)
    except (typer.BadParameter, OverflowError):
        message = f"{shown(text)} is neither a duration such as 30m, 24h or 7d nor a time {_EXAMPLES}."
        raise typer.BadParameter(message) from None


def after(delay: timedelta) -> datetime:
    """Return the time after this delay from now."""
    try:
        return datetime.now(UTC) + delay
    except OverflowError:
        raise typer.BadParameter("The time lies beyond the year 9999.") from None


def text(moment: datetime | None) -> str | None:
    """Return a time as the service reads it."""
    return None if moment is None else moment.astimezone(UTC).isoformat()


def since_option(description: str) -> typer.models.OptionInfo:
    """Return the option `--since` of a command."""
    description = f"{description}: 24h, 30m, 7d, or an ISO time."
    option: typer.models.OptionInfo = typer.Option("--since", parser=since, metavar="TIME", help=description)
    return option


JobsSince = Annotated[datetime | None, since_option("Only jobs created since then")]


def read(text: str) -> datetime | None:
    """Read a time of the service; None for what this version cannot read."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


def span(seconds: float) -> str:
    """Describe a duration by its largest unit, rounded down."""
    whole = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size:,} {unit}"
    return f"{whole} s"


def age(text: str) -> str:
    """Describe how long ago a time was, or how far ahead it lies."""
    moment = read(text)
    if moment is None:
        return text
    seconds = (datetime.now(UTC) - moment).total_seconds()
    # The clocks of two machines differ a little: what has just been stored is not of the future.
    return f"{span(max(0.0, seconds))} ago" if seconds > -1 else f"in {span(-seconds)}"


def is_ahead(text: str) -> bool:
    """Check whether a time of the service lies in the future."""
    moment = read(text)
    return moment is not None and moment > datetime.now(UTC)


def clock(text: str) -> str:
    """Return a time in the viewer's zone: without the date if that is today's."""
    moment = read(text)
    if moment is None:
        return text
    is_today = moment.date() == datetime.now(UTC).astimezone().date()
    return moment.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S")


def full(text: str) -> str:
    """Return a time in the viewer's zone with its offset, and how long ago it was."""
    moment = read(text)
    return text if moment is None else f"{moment.isoformat(sep=' ', timespec='seconds')} ({age(text)})"


def is_since(text: str, moment: datetime | None) -> bool:
    """Check whether a time of the service is not before another; one that cannot be read is shown."""
    found = read(text)
    return moment is None or found is None or found >= moment
