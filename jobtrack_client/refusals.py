"""What is left of a report that the service refused: it refuses a report as a whole, and may name the faults in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from jobtrack_client.errors import Unprocessable
from jobtrack_client.text import plain

_LISTS = ("items", "logs")


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a report that the service does not take: an item, a log line, or a field of this name."""

    field: str
    value: Any
    reason: str


def remaining(report: Mapping[str, Any], error: Unprocessable) -> tuple[list[dict[str, Any]], list[Refusal]]:
    """Return the reports to send in place of a refused one, in their order, and what is left out of them.

    Where the service names the faulty parts, these are left out. Where it does not (a value that is nested too deep,
    a body that is too long), the report is sent in halves, until the faulty part stands alone.
    """
    refused = _named(report, error)
    if refused:
        rest = _without(report, refused)
        return [rest] if rest else [], list(refused.values())
    pieces = _pieces(report)
    if len(pieces) > 1:
        return pieces, []
    for field, value in report.items():
        return [], [Refusal(field, value[0] if field in _LISTS else value, error.detail)]
    return [], [Refusal("report", None, error.detail)]


def _named(report: Mapping[str, Any], error: Unprocessable) -> dict[tuple[str, int | None], Refusal]:
    """Return the parts of the report that the faults point to, by field and index."""
    refused: dict[tuple[str, int | None], Refusal] = {}
    for fault in error.errors:
        _, field, *path = f"{fault.get('pointer') or ''}/".split("/")
        path = [part for part in path if part]
        if field not in report:
            continue
        index: int | None = None
        value = report[field]
        if field in _LISTS and path and path[0].isdecimal() and int(path[0]) < len(value):
            index = int(path.pop(0))
            value = value[index]
        elif field in _LISTS:
            continue
        # Of a part of a list the rest of the pointer: the handler knows its item by the key, not by its place.
        where = "/".join(["", *path]) if index is not None else str(fault["pointer"])
        reason = ": ".join(filter(None, (where, plain(fault.get("message") or error.detail))))
        refused.setdefault((field, index), Refusal(field, value, reason))
    return refused


def _without(report: Mapping[str, Any], refused: Mapping[tuple[str, int | None], Refusal]) -> dict[str, Any]:
    rest = {field: value for field, value in report.items() if (field, None) not in refused}
    for field in _LISTS:
        if field in rest:
            rest[field] = [part for index, part in enumerate(rest[field]) if (field, index) not in refused]
    return {field: value for field, value in rest.items() if field not in _LISTS or value}


def _pieces(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the report as several: one for each field, and two for a list of several parts."""
    if len(report) > 1:
        return [{field: value} for field, value in report.items()]
    return [
        {field: half}
        for field, value in report.items()
        if field in _LISTS
        for half in (value[: len(value) // 2], value[len(value) // 2 :])
        if half
    ]
