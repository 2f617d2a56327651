"""The files of a job as its page shows them: which ones, in rows, and their errors by code. Pure functions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from app.domain.errors import InvalidError
from app.domain.field_error import FieldError
from app.domain.item import Counts, GroupedErrors, Item, ItemErrors, ItemPage, ItemStatus
from app.domain.job import Job
from app.domain.principal import Principal, Scope
from app.web.cursors import MAX_ROW, read_cursor, write_cursor

PAGE_SIZE: Final = 50
MAX_CODES: Final = 20
MAX_CODE: Final = 255
ALL: Final = "all"
SHOWN: Final = (ItemStatus.FAILED.value, ALL, *(status.value for status in ItemStatus if status != ItemStatus.FAILED))
"""What the list may be limited to."""


@dataclass(frozen=True, slots=True)
class FilesQuery:
    """Which files the address names: those of a status or all, with some error codes or any, behind a position."""

    job_id: str
    show: str
    codes: tuple[str, ...] = ()
    after: int = 0
    is_chosen: bool = True
    """Whether the address names any: else those that come first may be others later."""

    @property
    def status(self) -> frozenset[ItemStatus] | None:
        """The statuses to read, None for all."""
        return None if self.show == ALL else frozenset({ItemStatus(self.show)})

    @property
    def with_error(self) -> bool:
        """Whether only files with an error are asked for, which are found without the others."""
        return self.show == ItemStatus.FAILED.value

    def address(self, *, show: str | None = None, codes: Sequence[str] = (), after: int = 0) -> str:
        """Write the query of an address; the same list where nothing else is named."""
        listed = show or self.show
        pairs = [("files", listed), *(("code", code) for code in codes)]
        if after:
            pairs.append(("cursor", write_cursor(after, *_bound(self.job_id, listed, codes))))
        return urlencode(pairs)


@dataclass(frozen=True, slots=True)
class Tab:
    """One status to limit the list to, with how many files have it where that is known."""

    name: str
    count: int | None
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file."""

    key: str
    name: str | None
    status: str
    stage: str | None
    code: str | None
    words: str | None
    item: Item


@dataclass(frozen=True, slots=True)
class Files:
    """A page of the files."""

    job: Job
    query: FilesQuery
    tabs: tuple[Tab, ...]
    rows: tuple[FileRow, ...]
    codes: tuple[str, ...]
    address: str
    first: str | None
    """The query of the first page, where this is another one."""
    following: str | None
    """The query of the next page."""
    is_cut: bool
    """Whether the page ends before it is full, because so many files were examined for so few."""
    without_code: int
    """How many failed files have no error code, as old ones may, and are found by their status alone."""
    by_status: str


@dataclass(frozen=True, slots=True)
class Group:
    """The failed files with one error code."""

    errors: ItemErrors
    address: str
    share: int
    """Of the failed files that were counted, in thousandths."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The errors of a job's files by code."""

    job: Job
    groups: tuple[Group, ...]
    counted: int
    failed: int
    is_complete: bool
    may_rerun: bool


def read_query(job: Job, query: QueryParams) -> FilesQuery:
    """Read which files an address names; those that failed come first if it names none."""
    default = ItemStatus.FAILED.value if job.counts.failed else ALL
    codes = tuple(dict.fromkeys(query.getlist("code")))
    show = query.get("files") or (ItemStatus.FAILED.value if codes else default)
    if show not in SHOWN:
        raise InvalidError([FieldError("?files", "unknown_status", f"This is one of {', '.join(SHOWN)}.")])
    if len(codes) > MAX_CODES or any(not 0 < len(code) <= MAX_CODE for code in codes):
        sentence = f"Up to {MAX_CODES} error codes of up to {MAX_CODE} characters can be shown."
        raise InvalidError([FieldError("?code", "invalid_code", sentence)])
    cursor = query.get("cursor")
    after = 0 if cursor is None else read_cursor(cursor, *_bound(str(job.id), show, codes), most=MAX_ROW)
    return FilesQuery(str(job.id), show, codes, after, is_chosen="files" in query or bool(codes))


def _bound(job_id: str, show: str, codes: Sequence[str]) -> tuple[str, ...]:
    return ("ui-files", job_id, show, *sorted(codes))


def files_of(job: Job, query: FilesQuery, page: ItemPage) -> Files:
    """Return what the list of files shows."""
    is_last = page.next_position is None
    is_whole_list = is_last and not query.after and query.with_error and not query.codes
    return Files(
        job=job,
        query=query,
        tabs=tabs_of(job, query),
        rows=tuple(_row(item) for item in page.items),
        codes=query.codes,
        address=query.address(codes=query.codes, after=query.after) if query.is_chosen else "",
        first=query.address(codes=query.codes) if query.after else None,
        following=None if is_last else query.address(codes=query.codes, after=page.next_position or 0),
        is_cut=not is_last and len(page.items) < PAGE_SIZE,
        without_code=max(0, job.counts.failed - len(page.items)) if is_whole_list else 0,
        by_status=query.address(show=ALL),
    )


def _row(item: Item) -> FileRow:
    words = item.error_message or item.skip_reason or item.message
    return FileRow(item.key, item.name, item.status.value, item.stage, item.error_code, words, item)


def tabs_of(job: Job, query: FilesQuery) -> tuple[Tab, ...]:
    """Return the statuses to choose from: those that some file may have, and the one that is shown."""
    counts = job.counts
    total = max(counts.total, counts.done)
    known: list[tuple[str, str, int | None]] = [
        (ItemStatus.FAILED.value, "Failed", counts.failed),
        (ALL, "All", total),
        (ItemStatus.COMPLETED.value, "Completed", counts.processed),
        (ItemStatus.SKIPPED.value, "Skipped", counts.skipped),
    ]
    left = total - counts.done
    if job.terminal:
        known.append((ItemStatus.CANCELLED.value, "Not done", left))
    else:
        # How many of the rest are in work is not counted.
        known.append((ItemStatus.PROCESSING.value, "In work", None if left else 0))
        known.append((ItemStatus.QUEUED.value, "Queued", None if left else 0))
    listed = [(show, name, count) for show, name, count in known if count != 0 or show in (ALL, query.show)]
    return tuple(
        Tab(name, count, query.address(show=show), is_current=show == query.show) for show, name, count in listed
    )


def groups_of(job: Job, found: GroupedErrors, caller: Principal) -> Groups:
    """Return the errors by code as the page shows them."""
    query = FilesQuery(str(job.id), ItemStatus.FAILED.value)
    groups = tuple(
        Group(each, query.address(codes=[each.error_code]), round(1000 * each.count / max(1, found.counted)))
        for each in found.errors
    )
    may_rerun = caller.may(Scope.SUBMIT) and (caller.queues is None or job.queue in caller.queues)
    return Groups(
        job=job,
        groups=groups,
        counted=found.counted,
        failed=max(job.counts.failed, found.counted),
        is_complete=found.is_complete,
        may_rerun=may_rerun and job.terminal,
    )


def groups_in(files: Files, caller: Principal) -> Groups | None:
    """Count the errors in a list that holds all failed files of the job; None where it does not."""
    query = files.query
    if not query.with_error or query.codes or query.after or files.following or files.without_code:
        return None
    found = GroupedErrors(_counted(row.item for row in files.rows), len(files.rows), True)
    return groups_of(files.job, found, caller)


def _counted(items: Iterable[Item]) -> tuple[ItemErrors, ...]:
    counts: Counter[str] = Counter()
    firsts: dict[str, Item] = {}
    for item in items:
        code = item.error_code or ""
        counts[code] += 1
        firsts.setdefault(code, item)
    return tuple(
        ItemErrors(code, count, firsts[code].key, firsts[code].error_message or firsts[code].message)
        for code, count in counts.most_common()
    )


def news_of(seen: Counts, counts: Counts) -> str | None:
    """Write what has become of the files since a list was shown; None if nothing has."""
    failed, done, total = counts.failed - seen.failed, counts.done - seen.done, counts.total - seen.total
    told = [
        f"{failed:,} more failed" if failed > 0 else "",
        f"{done - max(0, failed):,} more done" if done > max(0, failed) else "",
        f"{total:,} more" if total > 0 and done <= 0 else "",
    ]
    words = ", ".join(part for part in told if part)
    return words or ("the files have changed" if seen != counts else None)
