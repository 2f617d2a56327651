"""The record of a change of a key, a queue or a project: who made it, from where, and what is different now."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from app.domain.principal import Principal


class Action(StrEnum):
    """What was done, by the id of the API's operation that does it."""

    KEYS_CREATE = "keys_create"
    KEYS_SET_EXPIRY = "keys_set_expiry"
    KEYS_REVOKE = "keys_revoke"
    SESSIONS_CREATE_CODE = "sessions_create_code"
    PROJECTS_CREATE = "projects_create"
    QUEUES_PUT = "queues_put"
    QUEUES_PAUSE = "queues_pause"
    QUEUES_RESUME = "queues_resume"
    QUEUES_DELETE = "queues_delete"
    JOBS_CANCEL_MANY = "jobs_cancel_many"
    JOBS_RERUN_MANY = "jobs_rerun_many"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who requests a change, and from where; the latter is unknown outside of a request."""

    principal: Principal
    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change. Nothing in it opens anything: of a key it has the id and the name."""

    action: Action
    actor: Actor | None
    """None for the service itself, which creates the first key."""
    project_id: UUID
    """Where the change was made; an operator's key may be of another project."""
    target: str | Mapping[str, Any]
    """The id or name of what was changed, or the conditions on the jobs that were."""
    changes: Mapping[str, Any]


def differences(before: object, after: object) -> dict[str, Any]:
    """Compare two states of one thing, by field; None stands for a thing that was not there."""
    old, new = described(before), described(after)
    return {
        name: {"old": old.get(name), "new": new.get(name)} for name in {**old, **new} if old.get(name) != new.get(name)
    }


def described(thing: object) -> dict[str, Any]:
    """Describe a dataclass in values that JSON has, without the fields that hold nothing."""
    if not is_dataclass(thing):
        return {}
    values = ((one.name, getattr(thing, one.name)) for one in fields(thing))
    return {name: _plain(value) for name, value in values if value not in (None, ())}


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(map(_plain, value))
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return described(value) if is_dataclass(value) else value
