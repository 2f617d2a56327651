"""How values read on the pages: times, ages, sizes, counts. Pure functions, which the templates use as filters."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def now() -> datetime:
    """Return the moment of the answer, by which its ages are written."""
    return datetime.now(UTC)


def duration(seconds: float) -> str:
    """Write a length of time with its two largest units: `3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    for size, unit, smaller, smaller_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{whole} s"


def age(moment: datetime) -> str:
    """Write how long ago a time was, or in how long it will be."""
    seconds = (now() - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def from_now(length: timedelta) -> datetime:
    """Return the time that is so far from that of the answer; of a negative length, one that has passed."""
    return datetime.now(UTC) + length


def when(moment: datetime | None, form: str = "age") -> Markup:
    """Write a time as an element that the page's script shows in the reader's zone, with UTC on hover.

    `form` is `age`, `span` (the time since), `until` (the time left), `time` or `date`; without the script all are UTC,
    and ages are as of the answer.
    """
    if moment is None:
        return Markup("—")
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    second = f"{utc.isoformat(' ', 'seconds')} UTC"
    passed = (now() - moment).total_seconds()
    match form:
        case "age":
            shown = age(moment)
        case "span":
            shown = duration(passed)
        case "until":
            shown = duration(-passed)
        case _:
            shown = second
    # Put together as text, for none of it is anybody's but ours: by `Markup.format` the fifty times of a job's page
    # were a fifth of what it cost.
    exact = utc.isoformat(timespec="milliseconds")
    return Markup(f'<time datetime="{exact}Z" data-form="{form}" title="{second}">{shown}</time>')  # noqa: S704


def told(parts: Iterable[str | datetime]) -> Markup:
    """Write a sentence whose times go on counting: how long ago those of the past were, how soon the others come."""
    moment = now()
    return Markup("").join(
        part if isinstance(part, str) else when(part, "span" if part <= moment else "until") for part in parts
    )


def count(number: int) -> str:
    """Write a number with separators."""
    return f"{number:,}"


def size(number: float) -> str:
    """Write a number of bytes with a unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def short_id(text: str) -> str:
    """Shorten an id to its last 8 characters, which the command line and the filter take."""
    return text[-8:]


STATES: Final = {
    "pending": "pending",
    "dispatched": "dispatched",
    "running": "running",
    "cancelling": "cancelling",
    "completed": "completed",
    "completed_with_failures": "completed with failures",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


def state_name(state: str) -> str:
    """Write a state in words."""
    return STATES.get(state, state.replace("_", " "))


def json_text(value: Any) -> str:
    """Write JSON in one line."""
    return json.dumps(value, ensure_ascii=False)


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "duration": duration,
    "age": age,
    "when": when,
    "told": told,
    "count": count,
    "size": size,
    "short_id": short_id,
    "state_name": state_name,
    "json": json_text,
}
