"""The bodies that manage keys and projects."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.api.fields import Body, Id, Name, Time
from app.api.wire import Answer
from app.domain.principal import Scope


class KeyIn(Body):
    """A key to create. It cannot have more rights than the calling key."""

    name: Name
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(
        min_length=1,
        max_length=10,
        description="`admin` holds read, submit and work; `operator` holds all; `metrics` "
        "reads `/metrics` and nothing else.",
    )
    queues: list[Name] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Restricts configuring and pausing queues, and creating, changing and claiming jobs, to these "
        "queues; null: no restriction. Reads are not restricted.",
    )
    expires_at: Time | None = Field(
        default=None, description="Expiry; null: never. It is no later than the expiry of the calling key."
    )
    project_id: Id | None = Field(
        default=None, description="A project other than the caller's own; only for a key with `operator`."
    )


class KeyEndIn(Body):
    """A key's new expiry."""

    expires_at: Time | None = Field(
        description="Expiry; a past time ends the key now, null: never. A later one than before goes no further than "
        "the expiry of the calling key, and is 403 for that key itself."
    )


class KeyOut(Answer):
    """A key's metadata, without the key itself."""

    id: str
    name: str
    project_id: str
    scopes: list[Scope]
    queues: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Accurate to one minute.")


class KeyMade(KeyOut):
    """A new key, including the key itself, which is shown only once."""

    key: str | None = Field(description="Send it as `Authorization: Bearer <key>`. It cannot be retrieved later.")


class KeyList(Answer):
    """A page of keys, newest first."""

    keys: list[KeyOut]
    next_cursor: str | None


class SessionCode(Answer):
    """A one-time code with which a browser signs in."""

    code: str = Field(description="Good for one session, and for five minutes.")
    path: str = Field(description="The path to open, with the code as its fragment: `/sign-in#<code>`.")
    expires_in_seconds: float


class ProjectIn(Body):
    """A project to create."""

    name: Name


class ProjectOut(Answer):
    """A tenant, invisible to the keys of other tenants."""

    id: str = Field(description="A UUIDv7 in lower case.", json_schema_extra={"format": "uuid"})
    name: str
    created_at: datetime


class ProjectList(Answer):
    """A page of projects, newest first."""

    projects: list[ProjectOut]
    next_cursor: str | None
