"""What the page of jobs shows, made from jobs: pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote
from uuid import UUID

from app.dashboard.job.views import Segment, segments_of
from app.domain.ids import parse_id
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.domain.states import LEASED

PAGE: Final = 50
"""Jobs of a page."""
NEWEST: Final = 1_000
"""The end of an id is looked for among so many: a person means a job that a list has just shown."""
MOST_ERROR: Final = 160


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the list."""

    job: Job
    segments: tuple[Segment, ...]
    may_change: bool
    run_time: timedelta | None
    """How long an ended job ran; None of one that never began, or is not over."""
    runs_since: datetime | None
    """Since when a job is held that is not over."""
    error: str

    @property
    def files(self) -> int:
        """How many files the job has, as far as it is known."""
        return max(self.job.counts.total, self.job.counts.done)


def row_of(job: Job, caller: Principal) -> Row:
    """Return what the list shows of a job."""
    run_time = None
    if job.started_at is not None and job.completed_at is not None:
        run_time = max(timedelta(0), job.completed_at - job.started_at)
    may_change = caller.may(Scope.SUBMIT) and (caller.queues is None or job.queue in caller.queues)
    runs_since = job.started_at if job.state in LEASED else None
    return Row(job, segments_of(job), may_change, run_time, runs_since, error_of(job))


def error_of(job: Job) -> str:
    """Write why a job failed, or why its last attempt did; empty of one that did neither."""
    error = job.failure or job.error
    if error is None:
        return ""
    text = f"{error.code}: {error.message}" if error.message else error.code
    return text if len(text) <= MOST_ERROR else text[:MOST_ERROR] + "…"


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of jobs."""

    rows: tuple[Row, ...]
    cursor: str | None
    """Where the next page begins; None at the end."""
    searched_to: datetime | None
    """How far back the page has looked, where a later one may find more."""
    sentence: str
    """What there is to say of a list without a row."""
    by_id: bool = False
    """Whether the filter is an id."""

    @property
    def short(self) -> bool:
        """Whether the search ended before the page was full."""
        return len(self.rows) < PAGE


def created_at(job_id: UUID) -> datetime:
    """Return the time that an id holds, to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=job_id.int >> 80)


def address_of(filter_text: str, cursor: str | None = None) -> str:
    """Return the address of a list: its filter and its page."""
    parts = [f"filter={quote(filter_text)}"] if filter_text else []
    if cursor is not None:
        parts.append(f"cursor={quote(cursor)}")
    return "/ui/jobs" + ("?" + "&".join(parts) if parts else "")


def live_address(rows: Sequence[Row], filter_text: str | None) -> str:
    """Return the address of the stream that keeps rows current. With a filter it counts new jobs that match, too."""
    seen = ",".join(f"{row.job.id}{'!' if row.job.terminal else '.'}{row.job.version}" for row in rows)
    return f"/ui/jobs/live?seen={quote(seen)}" + (f"&filter={quote(filter_text)}" if filter_text is not None else "")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows: its jobs, and the versions of those that may still change."""

    ids: frozenset[UUID]
    live: Mapping[UUID, int]

    @property
    def since(self) -> UUID | None:
        """The oldest job of a full page: what is older is on the next page, not new. None of a page that has room."""
        return min(self.ids) if len(self.ids) >= PAGE else None


def read_shown(text: str) -> Shown:
    """Read what `live_address` wrote of a page; what is no job is left out."""
    ids, live = set(), {}
    for word in text.split(",")[:PAGE]:
        job_id = parse_id(word[:36])
        version = word[37:]
        if job_id is None or not (version.isascii() and version.isdigit() and len(version) <= 19):
            continue
        ids.add(job_id)
        if word[36] == ".":
            live[job_id] = int(version)
    return Shown(frozenset(ids), live)


def count_new(found: Iterable[UUID], shown: Shown) -> int:
    """Return how many jobs that are found now a page does not show."""
    since = shown.since
    return sum(job_id not in shown.ids and (since is None or job_id > since) for job_id in found)
