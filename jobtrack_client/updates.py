"""What a handler says of its job, made to fit the service's limits before it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jobtrack_client.limits import (
    LOG_CHARACTERS,
    LOG_LEVELS,
    MAX_BODY_BYTES,
    NAME_CHARACTERS,
    TEXT_CHARACTERS,
)
from jobtrack_client.models import LogLine
from jobtrack_client.text import cut, plain

# A longer line is cut: 128 thousand characters are a dump, and a few of them would fill the whole log.
_MAX_PIECES = 8
_TEXTS = frozenset({"message", "error_message", "skip_reason"})
_OTHER_LEVELS = {
    "trace": "debug",
    "notset": "debug",
    "verbose": "debug",
    "notice": "info",
    "success": "info",
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
    "crit": "critical",
    "alert": "critical",
    "emergency": "critical",
}


class Size(NamedTuple):
    """The bytes of JSON that something takes, and the number of values in it."""

    byte_count: int
    values: int

    def plus(self, other: Size) -> Size:
        """Return the size of both."""
        return Size(self.byte_count + other.byte_count, self.values + other.values)

    def within(self, limit: Size) -> bool:
        """Return whether neither part is over the limit."""
        return self.byte_count <= limit.byte_count and self.values <= limit.values


NOTHING = Size(0, 0)


def size_of(value: object) -> Size:
    """Return the size of a value. Raises `ValueError`, `TypeError` or `RecursionError` if it is not JSON.

    Every value but the first follows a comma or the opening of a list or an object; commas in texts are counted too,
    so the number is never too small.
    """
    data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return Size(len(data) + 1, 1 + data.count(b",") + data.count(b"[") + data.count(b"{"))


def level_of(level: object) -> str:
    """Return the service's level for a name in any case, another library's name, or a number of `logging`."""
    if isinstance(level, int):
        nearest = min(max(level // 10, 1), len(LOG_LEVELS))
        return LOG_LEVELS[nearest - 1]
    name = plain(level).strip().lower()
    return name if name in LOG_LEVELS else _OTHER_LEVELS.get(name, "info")


def log_lines(level: object, message: object) -> Iterator[LogLine]:
    """Return the line as the service takes it: as several lines, if it is too long for one."""
    name, text = level_of(level), plain(message)
    for _ in range(_MAX_PIECES - 1):
        if len(text) <= LOG_CHARACTERS:
            break
        # Between two lines of a traceback rather than within one, unless that would leave half of the piece empty.
        end = text.rfind("\n", LOG_CHARACTERS // 2, LOG_CHARACTERS) + 1 or LOG_CHARACTERS
        yield {"level": name, "message": text[:end]}
        text = text[end:]
    yield {"level": name, "message": cut(text, LOG_CHARACTERS)}


def job_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the job that were passed, those of text cut and the progress between 0 and 100.

    Sums of floats end at 100.00000000000001. Raises `ValueError` or `TypeError` for a value that is not JSON, where it
    was passed; a progress that is no number is nothing to say.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    for name, characters in (("stage", NAME_CHARACTERS), ("message", TEXT_CHARACTERS)):
        if isinstance(present.get(name), str):
            present[name] = cut(plain(present[name]), characters)
    if "progress" in present:
        progress = float(present.pop("progress"))
        if progress == progress:  # noqa: PLR0124  false for NaN
            present["progress"] = min(max(progress, 0.0), 100.0)
    size_of(present)
    return present


def item_fields(update: Mapping[str, Any]) -> tuple[dict[str, Any], Size]:
    """Return the item update as it is sent, and its size.

    Raises `ValueError`, `TypeError`, `KeyError` or `RecursionError` for an update that cannot be sent at all. Only what
    people read is cut; whether the rest is valid, the service decides, which may be newer than this client.
    """
    # A result is data: it is sent as it is, or not at all.
    item = {name: plain(text) if isinstance(text, str) and name != "result" else text for name, text in update.items()}
    if not isinstance(item["key"], str):
        raise TypeError("The key of an item is text")
    for name in _TEXTS & item.keys():
        if isinstance(item[name], str):
            item[name] = cut(item[name], TEXT_CHARACTERS)
    size = size_of(item)
    if size.byte_count > MAX_BODY_BYTES // 2:
        raise ValueError(f"An item of {size.byte_count:,} bytes does not fit into a report")
    return item, size
