"""`jobtrack jobs list|files|events|logs|watch`: what there is, and what happens."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import typer

from app.cli.exits import Exit, clear_sentences
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Statuses = Annotated[list[str] | None, typer.Option("--status", help="Only jobs in this status; may be repeated.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="Only jobs of this type; may be repeated.")]
Queues = Annotated[list[str] | None, typer.Option("--queue", help="Only jobs of this queue; may be repeated.")]
Labels = Annotated[list[str] | None, typer.Option("--label", help="NAME=VALUE; may be repeated, all must hold.")]
All = Annotated[bool, typer.Option("--all", help="All of them, however many there are.")]


def conditions(
    status: list[str] | None, kind: list[str] | None, queue: list[str] | None, label: list[str] | None
) -> dict[str, Any]:
    """Give the conditions of a filter as the client takes them."""
    given = {"status": status, "type": kind, "queue": queue, "labels": labels_of(label)}
    return {name: value for name, value in given.items() if value}


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Read NAME=VALUE."""
    labels = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--label")
        labels[name] = value
    return labels


def list_jobs(
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    every: All = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: jobtrack jobs list --status failed --queue imports
    """
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        found = asked.iter_jobs(**conditions(status, kind, queue, label))
        jobs = list(found if every else itertools.islice(found, limit))
    if as_json:
        print_json({"jobs": jobs})
        return
    rows = [
        (job["id"], job["status"], job["type"], job["queue"], f"{job['progress']:.0f} %", job["created_at"])
        for job in jobs
    ]
    print_rows(("id", "status", "type", "queue", "progress", "created"), rows, empty="No job matches.")


def files(
    job_id: JobId,
    status: Annotated[str | None, typer.Option("--status", help="Only items in this status, as failed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    every: All = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List a job's files, in the order in which they were first reported.

    Example: jobtrack jobs files ID --status failed
    """
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        found = asked.iter_items(job_id, status)
        items = list(found if every else itertools.islice(found, limit))
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["key"], item["status"], item["stage"], item["error_code"] or item["skip_reason"] or item["message"])
        for item in items
    ]
    print_rows(("key", "status", "stage", "why"), rows, empty="The job has no such files.")


def events(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show what happened to a job, attempt by attempt."""
    url = address(url)
    told: list[Any] = []
    with clear_sentences(url), client(url) as asked:
        cursor: str | None = ""
        while cursor is not None:
            page = asked.list_events(job_id, cursor=cursor)
            told += page["events"]
            cursor = page["next_cursor"]
    if as_json:
        print_json({"events": told})
        return
    rows = [(event["at"], event["type"], event["attempt"], event["to"], event["worker"]) for event in told]
    print_rows(("at", "event", "attempt", "status", "worker"), rows, empty="Nothing happened yet.")


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    offset: Annotated[int, typer.Option("--offset", min=0, help="The number of the first line.")] = 0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what a job's workers wrote.

    With --json, one line of JSON for each line.

    Example: jobtrack jobs logs ID --follow
    """
    url = address(url)
    with clear_sentences(url), client(url, patient=follow) as asked:
        if follow:
            for line in asked.follow_logs(job_id, offset):
                _print_line(line, as_json)
            return
        more = True
        while more:
            page = asked.read_logs(job_id, offset=offset)
            for line in page["logs"]:
                _print_line(line, as_json)
            more, offset = bool(page["logs"]), page["next_offset"]


def _print_line(line: Any, as_json: bool) -> None:
    if as_json:
        print_json(line)
    else:
        print(f"{line['at']} {line['level']:<8} {line['message']}", flush=True)


def watch(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One job until it has ended; default: all.")
    ] = None,
    queue: Queues = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Watch what happens, as it happens; Ctrl-C ends it. With --json, one line of JSON for each event."""
    url = address(url)
    with clear_sentences(url), client(url, patient=True) as asked:
        for event in asked.stream_events(queues=queue) if job_id is None else asked.stream_job(job_id):
            if as_json:
                print_json({"event": event.name, "data": event.data})
            elif event.name.startswith("job."):
                told = event.data
                print(told["at"], told["job_id"], event.name, told["worker"] or "", flush=True)
            elif event.name in ("snapshot", "job") and job_id is not None:
                job = event.data
                print(job["updated_at"], job["id"], job["status"], f"{job['progress']:.0f} %", flush=True)
            elif event.name == "reset":
                raise typer.Exit(Exit.TIMED_OUT)
