"""The updates that a handler has made and the service has not received yet, merged into few reports.

Thread-safe and without I/O: handlers fill the buffer from any thread, the reporter empties it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from jobtrack_client.models import ItemUpdate, LogLine

# The service accepts 1,000 items a report and a body of 1 MiB; half of that leaves room for the other fields.
MAX_ITEMS = 1000
MAX_ITEM_BYTES = 512 * 1024
MAX_LOGS = 200


class ReportBuffer:
    """Merges the updates made between two reports; the latest value of a field or an item wins.

    `wake` is called from the thread that made the update: with False when the buffer stops being empty,
    with True when it should be sent at once.
    """

    def __init__(self, wake: Callable[[bool], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._fields: dict[str, Any] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}
        self._logs: list[LogLine] = []
        self._checkpoint: list[object] = []
        self._stage: object = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        with self._lock:
            return self._is_empty()

    def add_fields(self, **fields: str | float | None) -> None:
        """Update fields of the job; None leaves a field as it is. A new stage is sent at once."""
        changes = {name: value for name, value in fields.items() if value is not None}
        _size(changes)
        with self._lock:
            was_empty = self._is_empty()
            self._fields |= changes
            urgent = changes.get("stage", self._stage) != self._stage
            self._stage = changes.get("stage", self._stage)
        self._notify(was_empty, urgent)

    def add_items(self, updates: Iterable[ItemUpdate]) -> None:
        """Update items; they are sent at once when they fill a report.

        They are encoded here, in the handler's thread, so that a value that is not JSON raises where the
        handler passed it, and so that the size of a report is known before it is built.
        """
        sized = [(update, _size(update)) for update in updates]
        with self._lock:
            was_empty = self._is_empty()
            for update, size in sized:
                self._items.setdefault(update["key"], {}).update(update)
                self._sizes[update["key"]] = self._sizes.get(update["key"], 0) + size
            urgent = len(self._items) >= MAX_ITEMS
        self._notify(was_empty, urgent)

    def add_log(self, line: LogLine) -> None:
        """Add a line to the job's log."""
        _size(line)
        with self._lock:
            was_empty = self._is_empty()
            self._logs.append(line)
        self._notify(was_empty, urgent=False)

    def set_checkpoint(self, checkpoint: object) -> None:
        """Save the checkpoint for the next attempt; it is sent with or after all earlier updates."""
        # A copy, because the handler may go on changing its own object until this one is sent.
        copy = json.loads(json.dumps(checkpoint, allow_nan=False))
        with self._lock:
            was_empty = self._is_empty()
            self._checkpoint = [copy]
        self._notify(was_empty, urgent=False)

    def take(self) -> dict[str, Any]:
        """Remove and return the fields of the next report; a report without fields is a heartbeat.

        The checkpoint is sent with the last of the items: when the next attempt starts from it, the items
        that were finished before it must not be missing.
        """
        with self._lock:
            report = self._fields
            self._fields = {}
            if self._items:
                report["items"] = self._take_items()
            if self._logs:
                report["logs"] = self._logs[:MAX_LOGS]
                del self._logs[:MAX_LOGS]
            if self._checkpoint and not self._items:
                report["checkpoint"] = self._checkpoint.pop()
        return report

    def _take_items(self) -> list[dict[str, Any]]:
        taken: list[dict[str, Any]] = []
        size = 0
        for key in list(self._items)[:MAX_ITEMS]:
            size += self._sizes[key]
            if taken and size > MAX_ITEM_BYTES:
                break
            taken.append(self._items.pop(key))
            del self._sizes[key]
        return taken

    def _is_empty(self) -> bool:
        return not (self._fields or self._items or self._logs or self._checkpoint)

    def _notify(self, was_empty: bool, urgent: bool) -> None:
        # Once per report instead of once per item: waking the event loop from a thread is a system call.
        if urgent or was_empty:
            self._wake(urgent)


def _size(value: object) -> int:
    """Return the size of the value in bytes of JSON. Raises `ValueError` or `TypeError` if it is not JSON."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
