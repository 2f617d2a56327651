"""What a handler has said and the service has not yet been told, gathered into few reports.

Thread-safe and without I/O: handlers fill it from any thread, the reporter empties it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from jobtrack_client.models import ItemUpdate, LogLine

# The service takes 1,000 items a report, and a body of 1 MiB; half of that leaves room for the rest.
MAX_ITEMS = 1000
MAX_ITEM_BYTES = 512 * 1024
MAX_LOGS = 200


class ReportBuffer:
    """Merges what is said between two reports; the newest word on a field or an item wins.

    `wake` is called, from the thread that said something, when the buffer stops being empty (False)
    and when it should be sent at once (True).
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
        """Say something about the job; None says nothing. A new stage is sent at once."""
        given = {name: value for name, value in fields.items() if value is not None}
        _size(given)
        with self._lock:
            was_empty = self._is_empty()
            self._fields |= given
            urgent = given.get("stage", self._stage) != self._stage
            self._stage = given.get("stage", self._stage)
        self._tell(was_empty, urgent)

    def add_items(self, updates: Iterable[ItemUpdate]) -> None:
        """Say something about items; sent at once when a whole report is full.

        Written as JSON here, in the thread of the handler: what is no JSON raises where it was said,
        and the size of a report is known before it is made.
        """
        sized = [(update, _size(update)) for update in updates]
        with self._lock:
            was_empty = self._is_empty()
            for update, size in sized:
                self._items.setdefault(update["key"], {}).update(update)
                self._sizes[update["key"]] = self._sizes.get(update["key"], 0) + size
            urgent = len(self._items) >= MAX_ITEMS
        self._tell(was_empty, urgent)

    def add_log(self, line: LogLine) -> None:
        """Add a line to the job's log."""
        _size(line)
        with self._lock:
            was_empty = self._is_empty()
            self._logs.append(line)
        self._tell(was_empty, urgent=False)

    def set_checkpoint(self, checkpoint: object) -> None:
        """Keep this for the next attempt; it is sent with or after all that was said before it."""
        # A copy: the handler goes on changing its own while this one waits to be sent.
        kept = json.loads(json.dumps(checkpoint, allow_nan=False))
        with self._lock:
            was_empty = self._is_empty()
            self._checkpoint = [kept]
        self._tell(was_empty, urgent=False)

    def take(self) -> dict[str, Any]:
        """Remove and give the next report's fields; an empty one is a heartbeat.

        The checkpoint goes with the last of the items: a next attempt that starts from it must not
        find items missing that were done before it.
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

    def _tell(self, was_empty: bool, urgent: bool) -> None:
        # Once per report and not once per item: waking the event loop from a thread is a system call.
        if urgent or was_empty:
            self._wake(urgent)


def _size(value: object) -> int:
    """Give the bytes of the value on the wire; raises `ValueError` or `TypeError` for what is no JSON."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
