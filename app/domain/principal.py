"""Who is calling: the project and the rights that a key stands for."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """What a key may do; see section 3 of the design."""

    READ = "read"
    SUBMIT = "submit"
    WORK = "work"
    ADMIN = "admin"
    OPERATOR = "operator"


IMPLIED = {
    Scope.ADMIN: frozenset({Scope.READ, Scope.SUBMIT, Scope.WORK}),
    Scope.OPERATOR: frozenset(Scope),
}
"""Scopes that hold others."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A key that was checked, as the rest of the service sees it."""

    project_id: UUID
    key_id: str
    name: str
    scopes: frozenset[Scope]
    queues: frozenset[str] | None = None
    """The only queues this key may create in, claim from and report to; None means all."""
    expires_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope, by itself or within a wider one."""
        return scope in self.scopes or any(scope in IMPLIED.get(held, ()) for held in self.scopes)
