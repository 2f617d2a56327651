"""The caller: the project and the rights of a key; and keys and projects as they are managed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Scope(StrEnum):
    """What a key may do. Admin implies read, submit and work; operator implies all. Metrics is for a scraper alone."""

    READ = "read"
    SUBMIT = "submit"
    WORK = "work"
    ADMIN = "admin"
    OPERATOR = "operator"
    METRICS = "metrics"


IMPLIED = {
    Scope.ADMIN: frozenset({Scope.READ, Scope.SUBMIT, Scope.WORK}),
    Scope.OPERATOR: frozenset(Scope),
}
"""Scopes that hold others."""


class KeyRef(NamedTuple):
    """A key, by its project and id."""

    project_id: UUID
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that was changed or revoked, and whether that has ended it."""

    key: KeyRef
    ended: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that was checked, as the rest of the service sees it."""

    project_id: UUID
    key_id: str
    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    """The only queues that this key may change, and whose jobs it may create, change and claim; None means all.

    Reports need no such check: the token that fences them was handed out by a claim or a create that was checked.
    Reading is not limited.
    """
    expires_at: datetime | None = None

    @property
    def ref(self) -> KeyRef:
        """The key itself."""
        return KeyRef(self.project_id, self.key_id)

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope, by itself or within a wider one."""
        return scope in self.scopes or any(scope in IMPLIED.get(held, ()) for held in self.scopes)

    def covers(self, scopes: frozenset[Scope], queues: frozenset[str] | None) -> bool:
        """Whether a key with these scopes and queues has no right that this one lacks."""
        if self.queues is not None and (queues is None or not queues <= self.queues):
            return False
        return all(self.may(scope) for scope in scopes)


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A key as it can be shown at any time: never the key itself, which is not stored."""

    project_id: UUID
    id: str
    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """Stored once a minute at most, so it may be a minute behind."""
