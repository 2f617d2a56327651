"""An installation as its operator sees it: its version, its database, what it keeps, and its feed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table of the service with its indexes, in bytes."""

    name: str
    rows: int | None
    """As the server last estimated; None if it never has."""
    size: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The database: its server's version, its bytes, and how many deleted jobs have rows that are to be removed."""

    server_version: str
    size: int
    deletions: int


@dataclass(frozen=True, slots=True)
class FeedState:
    """Whether this process hears of what others change, and by how much the feed of events is behind."""

    listens: bool
    lag_seconds: float
    is_held_up: bool
    """Whether an open transaction holds it up, rather than what is being written now."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything about an installation that its operator asks for first."""

    revisions: tuple[str, ...]
    """Of the database's schema."""
    is_current: bool
    """Whether that is the schema of this version, or of a newer one."""
    storage: Storage
    tables: tuple[TableSize, ...]
    """The largest first."""
    has_aged: bool
    """Whether there are ended jobs that are older than their queue keeps them."""
    free_bytes: int | None
    """Of the volume of the embedded database; None where it is another machine's."""
