"""The updates that a handler has made and the service has not received yet, merged into few reports.

Thread-safe and without I/O: handlers fill the buffer from any thread, the reporter empties it.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jobtrack_client.checkpoint import join
from jobtrack_client.limits import MAX_BODY_BYTES, MAX_BODY_VALUES, MAX_DOCUMENT_BYTES, MAX_ITEMS, MAX_LOGS
from jobtrack_client.models import ItemUpdate, LogLine
from jobtrack_client.text import cut, plain
from jobtrack_client.updates import NOTHING, Size, item_fields, job_fields, log_lines, size_of

# Of all parts of a report together. A quarter of what the service takes is left for the names around them.
REPORT_LIMIT = Size(MAX_BODY_BYTES * 3 // 4, MAX_BODY_VALUES * 3 // 4)
# A handler that gets every item wrong would otherwise fill the job's log with the same sentence.
_LOGGED_REFUSALS = 100

# Of the names around a checkpoint and its marks.
_NAMES_BYTES = 64

logger = logging.getLogger("jobtrack_client")


class ReportBuffer:
    """Merges the updates made between two reports; the latest value of a field or an item wins.

    `wake` is called from the thread that made the update: with False when the buffer stops being empty,
    with True when it should be sent at once. With `strict_items` an item update that cannot be sent raises where it
    was made; without, it is dropped, and the job's log says why.
    """

    def __init__(self, wake: Callable[[bool], None], *, job_id: str = "", strict_items: bool = False) -> None:
        self._wake = wake
        self._job_id = job_id
        self._strict_items = strict_items
        self._lock = threading.Lock()
        self._fields: dict[str, Any] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, Size] = {}
        self._logs: list[LogLine] = []
        self._checkpoint: object = None
        self._marks: dict[str, object] = {}
        self._checkpoint_size = NOTHING
        self._unsaved = False
        self._stage: object = None
        self._refusals = 0
        self._closed = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to send."""
        with self._lock:
            return self._is_empty()

    def close(self) -> None:
        """Drop all later updates: the attempt has ended, whatever threads of its handler still do."""
        with self._lock:
            self._closed = True

    def add_fields(self, **fields: str | float | None) -> None:
        """Update fields of the job; None leaves a field as it is. A new stage is sent at once."""
        changes = job_fields(fields)
        with self._lock:
            was_empty = self._is_empty()
            if not self._closed:
                self._fields |= changes
            urgent = changes.get("stage", self._stage) != self._stage
            self._stage = changes.get("stage", self._stage)
        self._notify(was_empty, urgent)

    def add_items(self, updates: Iterable[ItemUpdate]) -> None:
        """Update items; they are sent at once when they fill a report.

        They are encoded here, in the handler's thread, so that a value that is not JSON is noticed where the
        handler passed it, and so that the size of a report is known before it is built.
        """
        sized: list[tuple[dict[str, Any], Size]] = []
        for update in () if self._closed else updates:
            try:
                sized.append(item_fields(update))
            except Exception as error:
                if self._strict_items:
                    raise
                self.add_refusal(_key_of(update), f"{type(error).__name__}: {plain(error)}")
        with self._lock:
            was_empty = self._is_empty()
            for item, size in () if self._closed else sized:
                self._items.setdefault(item["key"], {}).update(item)
                self._sizes[item["key"]] = self._sizes.get(item["key"], NOTHING).plus(size)
            urgent = len(self._items) >= MAX_ITEMS
        self._notify(was_empty, urgent)

    def add_log(self, level: object, message: object) -> None:
        """Add a line to the job's log; any level and any text, because a log line is never worth the job."""
        if not self._closed:
            self.add_worker_log(level, message)

    def add_worker_log(self, level: object, message: object) -> None:
        """Add a line of the worker itself, which has a word to say after the handler's end as well."""
        lines = list(log_lines(level, message))
        with self._lock:
            was_empty = self._is_empty()
            self._logs.extend(lines)
        self._notify(was_empty, urgent=False)

    def add_refusal(self, key: object, reason: str) -> None:
        """Log that an update of this item was refused and is dropped, in the job's log and in the program's."""
        self._refusals += 1
        if self._refusals > _LOGGED_REFUSALS:
            return
        message = f"The update of the item {cut(plain(key), 300)!r} was refused and dropped: {cut(reason, 1000)}"
        if self._refusals == _LOGGED_REFUSALS:
            message += f" (the {_LOGGED_REFUSALS}th; further ones are not logged)"
        logger.warning("job %s: %s", self._job_id, message)
        self.add_worker_log("warning", message)

    def restore_checkpoint(self, value: object, marks: Mapping[str, object]) -> None:
        """Begin with what the last attempt has saved: each part is kept until it is set anew."""
        self._checkpoint, self._marks, self._checkpoint_size = value, dict(marks), size_of(value)

    def set_mark(self, name: str, value: object) -> None:
        """Save a mark beside the handler's checkpoint, see `checkpoint`; sent as that is."""
        with self._lock:
            was_empty = self._is_empty()
            if not self._closed and (name not in self._marks or self._marks[name] != value):
                self._marks[name] = value
                self._unsaved = True
        self._notify(was_empty, urgent=False)

    def set_checkpoint(self, checkpoint: object) -> None:
        """Save the checkpoint for the next attempt; it is sent with or after all earlier updates.

        Raises `ValueError` or `TypeError` for one that is not JSON or too large: losing it silently would cost more.
        """
        # A copy, because the handler may go on changing its own object until this one is sent.
        copy = json.loads(json.dumps(checkpoint, allow_nan=False))
        size = size_of(copy)
        if size.byte_count > MAX_DOCUMENT_BYTES:
            raise ValueError(f"A checkpoint has at most {MAX_DOCUMENT_BYTES:,} bytes; this one has {size.byte_count:,}")
        with self._lock:
            was_empty = self._is_empty()
            if not self._closed:
                self._checkpoint, self._checkpoint_size = copy, size
                self._unsaved = True
        self._notify(was_empty, urgent=False)

    def take(self) -> dict[str, Any]:
        """Remove and return the fields of the next report; a report without fields is a heartbeat.

        The checkpoint is sent with the last of the items: when the next attempt starts from it, the items
        that were finished before it must not be missing.
        """
        with self._lock:
            report = self._fields
            self._fields = {}
            size = size_of(report)
            if self._items:
                report["items"], size = self._take_items(size)
            logs, size = self._take_logs(size)
            if logs:
                report["logs"] = logs
            if self._unsaved and not self._items:
                marks = size_of(self._marks)
                size = size.plus(self._checkpoint_size).plus(marks)
                if size.within(REPORT_LIMIT) or not report:
                    # A handler's own checkpoint may fill what the service takes: then there is no room for marks.
                    room = MAX_DOCUMENT_BYTES - self._checkpoint_size.byte_count
                    fits = marks.byte_count + _NAMES_BYTES <= room
                    report["checkpoint"] = join(self._checkpoint, self._marks if fits else {})
                    self._unsaved = False
        return report

    def _take_items(self, size: Size) -> tuple[list[dict[str, Any]], Size]:
        taken: list[dict[str, Any]] = []
        for key in list(self._items)[:MAX_ITEMS]:
            longer = size.plus(self._sizes[key])
            if taken and not longer.within(REPORT_LIMIT):
                break
            size = longer
            taken.append(self._items.pop(key))
            del self._sizes[key]
        return taken, size

    def _take_logs(self, size: Size) -> tuple[list[LogLine], Size]:
        count = 0
        for line in self._logs[:MAX_LOGS]:
            longer = size.plus(size_of(line))
            if not longer.within(REPORT_LIMIT):
                break
            size = longer
            count += 1
        taken = self._logs[:count]
        del self._logs[:count]
        return taken, size

    def _is_empty(self) -> bool:
        return not (self._fields or self._items or self._logs or self._unsaved)

    def _notify(self, was_empty: bool, urgent: bool) -> None:
        # Once per report instead of once per item: waking the event loop from a thread is a system call.
        if (urgent or was_empty) and not self._closed:
            self._wake(urgent)


def _key_of(update: Any) -> object:
    return update.get("key") if isinstance(update, Mapping) else update
