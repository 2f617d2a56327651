"""A checkpoint as it is stored: the handler's own value, and beside it the marks that `track` and `todo` keep.

Without marks the value is stored as it is, for readers in other languages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MARKS = "jobtrack_client"


def split(stored: Any) -> tuple[Any, dict[str, Any]]:
    """Return the handler's value of a stored checkpoint, None if it saved none, and the marks."""
    if isinstance(stored, dict) and isinstance(stored.get(_MARKS), dict) and stored.keys() <= {_MARKS, "value"}:
        return stored.get("value"), dict(stored[_MARKS])
    return stored, {}


def join(value: object, marks: Mapping[str, object]) -> object:
    """Return the checkpoint to store for a value and marks."""
    if not marks:
        return value
    return {_MARKS: dict(marks)} if value is None else {_MARKS: dict(marks), "value": value}
