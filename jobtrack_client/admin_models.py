"""The shapes that `admin_calls` returns: queues and API keys; see `models`."""

from __future__ import annotations

from typing import Any, TypedDict


class Queue(TypedDict):
    """A queue: its rules, and how many jobs are in it."""

    name: str
    paused: bool
    paused_at: str | None
    paused_by: str | None
    reason: str | None
    until: str | None
    concurrency_limit: int | None
    retry: dict[str, float] | None
    expected_seconds: int | None
    retention: dict[str, int | None] | None
    depth: dict[str, int]
    due: int
    scheduled: int
    held: int
    oldest_waiting_seconds: float | None
    oldest_waiting_id: str | None
    rates: dict[str, int]
    created_at: str | None
    updated_at: str | None


class QueuePage(TypedDict):
    """A page of queues in order of their names."""

    queues: list[Queue]
    next_cursor: str | None


class AskingWorker(TypedDict):
    """A worker that has asked for jobs within a day. Null names are any."""

    name: str
    queues: list[str] | None
    types: list[str] | None
    more_queues: bool
    more_types: bool
    client: str | None
    last_asked_at: str
    present: bool
    held: int


class WorkerPage(TypedDict):
    """A page of workers in order of their names."""

    workers: list[AskingWorker]
    next_cursor: str | None


class KeyPage(TypedDict):
    """A page of API keys, newest first."""

    keys: list[dict[str, Any]]
    next_cursor: str | None
