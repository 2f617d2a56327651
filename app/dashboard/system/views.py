"""What the page of the system shows: pure functions, as a dialect's translation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.installation import MOST_DELETIONS
from app.dashboard.formats import duration
from app.domain.installation import FeedState, Installation

_SHORT_LAG: Final = 2.0


@dataclass(frozen=True, slots=True)
class Fact:
    """A thing that was looked at, and how it is: `ok`, `warn` or `bad`."""

    name: str
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class SettingView:
    """A setting of the service."""

    name: str
    value: str | None
    origin: str
    description: str
    is_default: bool


def feed_facts(feed: FeedState) -> list[Fact]:
    """Write how the feed of this process is."""
    listener = (
        Fact("Listener", "ok", "This process hears at once of what other processes change.")
        if feed.listens
        else Fact(
            "Listener",
            "warn",
            "This process hears nothing of what others change: waits and pages are up to a second late. "
            "Behind a pooler set JOBTRACK_LISTEN_URL to the address of the server itself.",
        )
    )
    lag = duration(feed.lag_seconds)
    if feed.is_held_up:
        held_up = "An open transaction somewhere on the database server holds it up: the log of this service names it."
        return [listener, Fact("Events", "bad", f"The feed of events is {lag} behind. {held_up}")]
    behind = f"The feed of events is {lag} behind." if feed.lag_seconds > _SHORT_LAG else "The feed is up to date."
    return [listener, Fact("Events", "ok", behind)]


def installation_facts(found: Installation, failures: dict[str, str]) -> list[Fact]:
    """Write how the database and what it keeps are."""
    schema = ", ".join(found.revisions) or "none"
    return [
        *(Fact("Ready", "bad", sentence) for sentence in failures.values()),
        *([] if failures else [Fact("Ready", "ok", "This process takes requests.")]),
        Fact("Schema", "ok", f"{schema}: what this version needs.")
        if found.is_current
        else Fact("Schema", "bad", f"{schema}: older than this version. Run `jobtrack migrate`."),
        _retention(found),
    ]


def _retention(found: Installation) -> Fact:
    left = found.storage.deletions
    if found.has_aged:
        aged = "Ended jobs are older than their queues keep them, and are being deleted."
        return Fact("Retention", "warn", aged + (f" {_jobs(left)} to be cleared away." if left else ""))
    if left:
        return Fact("Retention", "ok", f"{_jobs(left)} to be cleared away: they are deleted, and nobody sees them.")
    return Fact("Retention", "ok", "Nothing is left to be deleted.")


def _jobs(count: int) -> str:
    number = f"{count:,}" + ("+" if count >= MOST_DELETIONS else "")
    return f"{number} {'job is' if count == 1 else 'jobs are'}"


def settings_of(rows: Sequence[Sequence[str | None]]) -> list[SettingView]:
    """Return the settings as they are shown."""
    return [
        SettingView(name or "", value, origin or "", description or "", origin == "default")
        for name, value, origin, description in rows
    ]
