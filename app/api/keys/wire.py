"""The bodies that manage keys and projects."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.fields import Body, Id, Name, Time
from app.api.wire import Answer
from app.domain.principal import Scope


class KeyIn(Body):
    """A key to be made. It may do no more than the key that makes it."""

    name: Name
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(
        min_length=1, max_length=10, description="`admin` holds read, submit and work; `operator` holds all."
    )
    queues: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="The only queues that it may set up and pause, and whose jobs it may create, change and claim; "
        "null: all. Reads see the project.",
    )
    expires_at: Time | None = Field(default=None, description="When it ends; null: never.")
    project_id: Id | None = Field(
        default=None, description="A project other than the caller's own; only for a key with `operator`."
    )


class KeyEndIn(Body):
    """When a key ends."""

    expires_at: Time | None = Field(description="A time that has passed ends the key now; null: it never ends.")


class KeyOut(Answer):
    """A key as it can be shown at any time."""

    id: str
    name: str
    project_id: str
    scopes: list[Scope]
    queues: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To a minute.")


class KeyMade(KeyOut):
    """A new key, with the key itself: shown this once."""

    key: str | None = Field(description="Send it as `Authorization: Bearer <key>`. Nobody can show it again.")


class KeyList(Answer):
    """A page of keys, newest first."""

    keys: list[KeyOut]
    next_cursor: str | None


class ProjectIn(Body):
    """A project to be made."""

    name: Name


class ProjectOut(Answer):
    """A tenant: nothing of it is seen by another one's keys."""

    id: str = Field(description="A UUIDv7 in lower case.", json_schema_extra={"format": "uuid"})
    name: str
    created_at: datetime


class ProjectList(Answer):
    """A page of projects, newest first."""

    projects: list[ProjectOut]
    next_cursor: str | None
