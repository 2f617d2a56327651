"""Calls for operators: queues and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobtrack_client.admin_models import KeyPage, Queue, QueuePage, WorkerPage
from jobtrack_client.call import Call, path_step, read_nothing, read_object


def _queue_path(name: str, suffix: str = "") -> str:
    return f"/v1/queues/{path_step(name)}{suffix}"


def list_queues(*, limit: int = 500, cursor: str | None = None) -> Call[QueuePage]:
    """Return a page of queues in order of their names, with their depths and rates."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path="/v1/queues", read=read_object, params=params, repeatable=True)


def get_queue(name: str) -> Call[Queue]:
    """Return one queue. A name that nothing was set for has the defaults."""
    return Call(method="GET", path=_queue_path(name), read=read_object, repeatable=True)


def put_queue(name: str, **rules: object) -> Call[Queue]:
    """Replace the rules of a queue: paused, reason, until, concurrency_limit, retry, expected_seconds, retention.

    Omitted ones get their defaults.
    """
    return Call(method="PUT", path=_queue_path(name), read=read_object, body=rules, repeatable=True)


def pause_queue(name: str, *, reason: str | None = None, until: str | None = None) -> Call[Queue]:
    """Stop handing out jobs of a queue; with `until` (RFC 3339) it resumes by itself."""
    body = {field: value for field, value in (("reason", reason), ("until", until)) if value is not None}
    return Call(method="POST", path=_queue_path(name, "/pause"), read=read_object, body=body or None, repeatable=True)


def resume_queue(name: str) -> Call[Queue]:
    """Resume handing out jobs of a queue."""
    return Call(method="POST", path=_queue_path(name, "/resume"), read=read_object, repeatable=True)


def delete_queue(name: str) -> Call[None]:
    """Forget the rules of a queue. Raises `Conflict` while it has live jobs."""
    return Call(method="DELETE", path=_queue_path(name), read=read_nothing, repeatable=True)


def create_session_code() -> Call[dict[str, Any]]:
    """Create a one-time code that signs a browser in with this key: `path` is what to open, within five minutes."""
    return Call(method="POST", path="/v1/sessions/codes", read=read_object)


def list_workers(*, limit: int = 500, cursor: str | None = None) -> Call[WorkerPage]:
    """Return a page of the workers that asked for jobs within a day, in order of their names."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path="/v1/workers", read=read_object, params=params, repeatable=True)


def create_key(
    name: str, scopes: Sequence[str], *, queues: Sequence[str] | None = None, expires_at: str | None = None
) -> Call[dict[str, Any]]:
    """Create an API key; only this response shows it, as `key`. Scopes: read, submit, work, admin, operator."""
    body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
    if queues is not None:
        body["queues"] = list(queues)
    if expires_at is not None:
        body["expires_at"] = expires_at
    return Call(method="POST", path="/v1/keys", read=read_object, body=body)


def list_keys(*, limit: int = 500, cursor: str | None = None) -> Call[KeyPage]:
    """Return a page of API keys, newest first, without the secrets themselves."""
    params: dict[str, str | int | list[str]] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
    return Call(method="GET", path="/v1/keys", read=read_object, params=params, repeatable=True)


def revoke_key(key_id: str) -> Call[None]:
    """Revoke an API key permanently; every server process rejects it within two seconds."""
    return Call(method="DELETE", path=f"/v1/keys/{path_step(key_id)}", read=read_nothing, repeatable=True)
