"""The shapes that `admin_calls` returns: queues and API keys; see `models`."""

from __future__ import annotations

from typing import Any, TypedDict


class Queue(TypedDict):
    """A queue: its rules, and how many jobs are in it."""

    name: str
    paused: bool
    concurrency_limit: int | None
    retry: dict[str, float] | None
    expected_seconds: int | None
    retention: dict[str, int | None] | None
    depth: dict[str, int]
    oldest_waiting_seconds: float | None
    rates: dict[str, int]
    created_at: str | None
    updated_at: str | None


class QueuePage(TypedDict):
    """A page of queues in order of their names."""

    queues: list[Queue]
    next_cursor: str | None


class KeyPage(TypedDict):
    """A page of API keys, newest first."""

    keys: list[dict[str, Any]]
    next_cursor: str | None
