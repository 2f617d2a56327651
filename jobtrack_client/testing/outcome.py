"""What the service would know of a job after an attempt."""

from __future__ import annotations

import dataclasses
from typing import Any

from jobtrack_client.checkpoint import split
from jobtrack_client.models import LogLine

FAILED = ("failed", "retrying")


@dataclasses.dataclass(slots=True)
class Outcome:
    """A job after an attempt of its handler.

    `status` is `completed`, `completed_with_failures`, `failed`, `retrying`, `cancelled`, or `pending` after a release.
    `error` has `code` and `message`. `items` has the fields of each item by key, as far as they were reported, in the
    order in which they were. `total` is how many there are, or more if the handler said so.
    """

    payload: Any = None
    type: str = "test"
    attempt: int = 1
    status: str = "pending"
    result: Any = None
    billing: Any = None
    error: dict[str, str] | None = None
    retry_after_seconds: float | None = None
    stage: str | None = None
    progress: float | None = None
    message: str | None = None
    total: int | None = None
    items: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    logs: list[LogLine] = dataclasses.field(default_factory=list)
    stored_checkpoint: Any = None
    is_rerun: bool = False

    @property
    def checkpoint(self) -> Any:
        """The checkpoint that the handler saved."""
        return split(self.stored_checkpoint)[0]

    def keys(self, status: str) -> list[str]:
        """Return the keys of the items with this status."""
        return [key for key, item in self.items.items() if item["status"] == status]

    def next_attempt(self) -> Outcome:
        """Return the job as its next attempt finds it."""
        items = {key: dict(item) for key, item in self.items.items()}
        return dataclasses.replace(
            self,
            attempt=self.attempt + (self.status in FAILED),
            status="pending",
            error=None,
            retry_after_seconds=None,
            items=items,
            logs=list(self.logs),
        )

    def rerun(self) -> Outcome:
        """Return the job that a rerun of the failed items makes of it."""
        items = {key: {"key": key, "status": "queued"} for key in self.keys("failed")}
        return Outcome(payload=self.payload, type=self.type, items=items, is_rerun=True)
