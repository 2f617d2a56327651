"""The operations of those who run the service: queues and keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from jobtrack_client.call import Call, whole
from jobtrack_client.models import KeyPage, Queue, QueuePage


def _queue_path(name: str, rest: str = "") -> str:
    return f"/v1/queues/{quote(name, safe='')}{rest}"


def list_queues(*, limit: int = 500, cursor: str | None = None) -> Call[QueuePage]:
    """Give a page of queues by name, with their depth and rates."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path="/v1/queues", read=whole, params=params, repeatable=True)


def get_queue(name: str) -> Call[Queue]:
    """Give one queue. Raises `NotFound` for one that nobody has named yet."""
    return Call(method="GET", path=_queue_path(name), read=whole, repeatable=True)


def put_queue(name: str, **rules: object) -> Call[Queue]:
    """Set all rules of a queue: paused, concurrency_limit, retry, retention; what is left out is the default."""
    return Call(method="PUT", path=_queue_path(name), read=whole, body=rules, repeatable=True)


def pause_queue(name: str) -> Call[Queue]:
    """Hand out nothing more from a queue."""
    return Call(method="POST", path=_queue_path(name, "/pause"), read=whole, repeatable=True)


def resume_queue(name: str) -> Call[Queue]:
    """Let a queue go on."""
    return Call(method="POST", path=_queue_path(name, "/resume"), read=whole, repeatable=True)


def create_key(
    name: str, scopes: Sequence[str], *, queues: Sequence[str] | None = None, expires_at: str | None = None
) -> Call[dict[str, Any]]:
    """Make a key; `key` in the answer is shown this once. Scopes: read, submit, work, admin, operator."""
    body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
    if queues is not None:
        body["queues"] = list(queues)
    if expires_at is not None:
        body["expires_at"] = expires_at
    return Call(method="POST", path="/v1/keys", read=whole, body=body)


def list_keys(*, limit: int = 500, cursor: str | None = None) -> Call[KeyPage]:
    """Give a page of keys, newest first, without the keys themselves."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path="/v1/keys", read=whole, params=params, repeatable=True)


def revoke_key(key_id: str) -> Call[None]:
    """End a key for good; within two seconds nobody accepts it any more."""
    return Call(method="DELETE", path=f"/v1/keys/{quote(key_id, safe='')}", read=_nothing, repeatable=True)


def _nothing(_: object) -> None:
    """Read an answer that says nothing."""
