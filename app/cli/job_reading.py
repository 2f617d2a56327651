"""`jobtrack jobs list|files|events|logs`: read jobs, and what happened to them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import cells, descriptions, times
from app.cli.choices import choice
from app.cli.exits import clear_sentences
from app.cli.filters import Collection, Labels, Queues, Statuses, Types, filter_conditions
from app.cli.job_ids import JobId, whole_id
from app.cli.pages import rows_of
from app.cli.printable import printable
from app.cli.tables import Cell, Column, is_terminal, print_json, print_rows
from app.cli.target import AsJson, Url, address, client
from app.cli.times import JobsSince, since_option
from app.domain.item import ItemStatus

if TYPE_CHECKING:
    from jobtrack_client import Item, Job, JobtrackClient
    from jobtrack_client.job_models import Event

Limit = Annotated[
    int, typer.Option("--limit", metavar="NUMBER", min=1, max=1_000_000_000, help="Show at most this many.")
]
All = Annotated[bool, typer.Option("--all", help="Show all, whatever --limit says.")]


_JOB_COLUMNS = (
    Column("id", rank=0, wide=False),
    Column("status", rank=0, wide=False),
    Column("type", rank=1),
    Column("queue", rank=5),
    Column("done", rank=2, wide=False, right=True),
    Column("created", rank=3, wide=False),
    Column("detail", rank=4),
)


def list_jobs(
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    collection: Collection = None,
    since: JobsSince = None,
    limit: Limit = 50,
    every: All = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: jobtrack jobs list --status failed --queue imports --since 24h
    """
    conditions = filter_conditions(status, kind, queue, label, collection, since)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        jobs = rows_of(api.list_jobs, "jobs", None if every else limit, **conditions)
        if as_json:
            print_json({"jobs": list(jobs)})
        else:
            print_rows(_JOB_COLUMNS, map(_job_row, jobs), empty="No job matches.")


def _job_row(job: Job) -> tuple[object, ...]:
    return (
        cells.short_id(job["id"]),
        cells.status(job["status"]),
        job["type"],
        job["queue"],
        cells.percent(job["progress"]),
        cells.age(job["created_at"]),
        Cell(job["error"] and job["error"]["code"], descriptions.detail(job)),
    )


_FILE_COLUMNS = (
    Column("key", rank=0),
    Column("status", rank=0, wide=False),
    Column("stage", rank=2),
    Column("why", rank=1, fold=True),
)


def why(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Explain in a sentence why a job does not go on, or who works on it.

    Example: jobtrack jobs why ID
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        waiting = api.get_waiting(whole_id(api, job_id))
    if as_json:
        print_json(waiting)
    else:
        print(waiting["detail"])


def files(
    job_id: JobId,
    status: Annotated[
        list[str] | None,
        choice("--status", ItemStatus, "Only files with this status, for example failed; may be repeated."),
    ] = None,
    limit: Limit = 50,
    every: All = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List a job's files in the order of their first report, with the error or the reason of those that need one.

    Example: jobtrack jobs files ID --status failed
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        read = functools.partial(api.list_items, whole_id(api, job_id))
        items = rows_of(read, "items", None if every else limit, status=status)
        if as_json:
            print_json({"items": list(items)})
        else:
            print_rows(_FILE_COLUMNS, map(_file_row, items), empty="The job has no such files.")


def _file_row(item: Item) -> tuple[object, ...]:
    reason = descriptions.why_item(item)
    return item["key"], cells.status(item["status"]), item["stage"], Cell(reason, descriptions.short(reason))


_EVENT_COLUMNS = (
    Column("at", rank=0, wide=False),
    Column("event", only="pipe"),
    Column("attempt", only="pipe"),
    Column("from", only="pipe"),
    Column("status", rank=0, wide=False),
    Column("try", rank=4, wide=False, right=True, only="terminal"),
    Column("worker", rank=3),
    Column("why", rank=1, fold=True),
)


def events(
    job_id: JobId,
    since: Annotated[datetime | None, since_option("Only events since then")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the history of a job: each change of its status, by which worker, and why.

    Example: jobtrack jobs events ID --since 1h
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        job_id = whole_id(api, job_id)
        found = [event for event in events_of(api, job_id) if times.is_since(event["at"], since)]
        if as_json:
            print_json({"events": found})
            return
        jobs = api.wait_jobs([job_id], wait=0)["jobs"]
        # The message of an error is the job's alone: it belongs to the last event with its code.
        failures = [place for place, event in enumerate(found) if descriptions.reason_of(event)]
        last = {len(found) - 1, *failures[-1:]}
        rows = [_event_row(event, jobs[0] if jobs and place in last else None) for place, event in enumerate(found)]
        print_rows(_EVENT_COLUMNS, rows, empty="The job has no such events." if since else "The job has no events.")


def events_of(api: JobtrackClient, job_id: str) -> Iterator[Event]:
    """Yield the history of a job, oldest event first."""
    return rows_of(functools.partial(api.list_events, job_id), "events")


def _event_row(event: Event, job: Job | None) -> tuple[object, ...]:
    return (
        cells.clock(event["at"]),
        event["type"],
        event["attempt"],
        event["from"],
        cells.change(event["from"], event["to"]),
        event["attempt"] or None,
        event["worker"],
        descriptions.why(event, job),
    )


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until the job has ended.")] = False,
    offset: Annotated[
        int, typer.Option("--offset", metavar="NUMBER", min=0, help="The number of the first line to show.")
    ] = 0,
    since: Annotated[datetime | None, since_option("Only lines written since then")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the log of a job. With --json, print one JSON object for each line.

    Example: jobtrack jobs logs ID --follow --since 10m
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        job_id = whole_id(api, job_id)
        if follow:
            # At once, so that a wrong address or id is reported sooner than a restart may take.
            api.read_logs(job_id, offset=offset, limit=1)
            lines = api.follow_logs(job_id, offset)
        else:
            lines = _stored_lines(api, job_id, offset)
        for line in lines:
            if times.is_since(line["at"], since):
                _print_line(line, as_json)


def _stored_lines(api: JobtrackClient, job_id: str, offset: int) -> Iterator[Any]:
    while (page := api.read_logs(job_id, offset=offset))["logs"]:
        yield from page["logs"]
        offset = page["next_offset"]


def _print_line(line: Any, as_json: bool) -> None:
    if as_json:
        print_json(line)
    elif is_terminal():
        # Its lines stay lines; whatever else a terminal would act on is escaped.
        message = "\n".join(map(printable, line["message"].split("\n")))
        print(f"{times.clock(line['at'])} {line['level']:<8} {message}", flush=True)
    else:
        print(f"{line['at']} {line['level']:<8} {line['message']}", flush=True)
