"""Items: the parts of a job that have a status each, most often the files of an indexing job."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.records import quick

NO_ERROR_CODE = "failed"
"""The code of an item that failed without one."""


class ItemStatus(StrEnum):
    """Where an item is. Any status may follow any other while the job is live."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


UNFINISHED_ITEM = frozenset({ItemStatus.QUEUED, ItemStatus.PROCESSING})
"""Statuses that read as `cancelled` once the job has ended: no worker will process them any more."""


@quick
@dataclass(frozen=True, slots=True)
class Counts:
    """How many items a job has, and how many of them ended in which way. `processed` counts the completed ones."""

    total: int = 0
    processed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def done(self) -> int:
        """Items that need no more work."""
        return self.processed + self.failed + self.skipped


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item known when its job is created; it starts queued."""

    key: str
    name: str | None = None
    uri: str | None = None
    size_bytes: int | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemUpdate:
    """A worker's update of one item. None leaves a field as it is; an unknown key creates a new item."""

    key: str
    status: ItemStatus | None = None
    name: str | None = None
    uri: str | None = None
    stage: str | None = None
    message: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    skip_reason: str | None = None
    size_bytes: int | None = None
    result: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item as stored. `position` is its place in the order in which the job's items were first reported."""

    key: str
    position: int
    name: str | None
    uri: str | None
    status: ItemStatus
    stage: str | None
    message: str | None
    error_code: str | None
    error_message: str | None
    skip_reason: str | None
    size_bytes: int | None
    result: Any
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CountedItems:
    """Items by offset, for the vendors whose contract wants one, with how many there are to page through."""

    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items in their order; `next_position` is where the next one begins, None at the end."""

    items: tuple[Item, ...]
    next_position: int | None
    size: int
    """Bytes of the items, about."""


@dataclass(frozen=True, slots=True)
class ItemErrors:
    """How many failed items have one error code, with the first of them."""

    error_code: str
    count: int
    first_key: str
    message: str | None


@dataclass(frozen=True, slots=True)
class GroupedErrors:
    """The errors of a job's items by code, the most frequent first; how many failed items were counted, and whether
    those are all and every code is here.
    """

    errors: tuple[ItemErrors, ...]
    counted: int
    is_complete: bool
