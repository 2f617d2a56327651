"""`jobtrack jobs list|files|events|logs|watch`: read jobs, and what happens to them."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import typer

from app.cli.choices import choice, shown
from app.cli.exits import clear_sentences, exit_code
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client
from app.domain.item import ItemStatus
from app.domain.states import JobState

JobId = Annotated[str, typer.Argument(metavar="ID", help="The id of the job.")]
Statuses = Annotated[list[str] | None, choice("--status", JobState, "Only jobs with this status; may be repeated.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="Only jobs of this type; may be repeated.")]
Queues = Annotated[list[str] | None, typer.Option("--queue", help="Only jobs in this queue; may be repeated.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="Only jobs with this label, NAME=VALUE; may be repeated, and all must match."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000_000, help="Show at most this many.")]
All = Annotated[bool, typer.Option("--all", help="Show all, whatever --limit says.")]


def filter_conditions(
    status: list[str] | None, kind: list[str] | None, queue: list[str] | None, label: list[str] | None
) -> dict[str, Any]:
    """Return the filter options as the client's arguments, without those that are not used."""
    options = {"status": status, "type": kind, "queue": queue, "labels": labels_of(label)}
    return {name: value for name, value in options.items() if value}


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Parse labels of the form NAME=VALUE."""
    labels = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{shown(text)} is not NAME=VALUE", param_hint="--label")
        labels[name] = value
    return labels


def list_jobs(
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    limit: Limit = 50,
    every: All = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: jobtrack jobs list --status failed --queue imports
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        matches = api.iter_jobs(**filter_conditions(status, kind, queue, label))
        jobs = list(matches if every else itertools.islice(matches, limit))
    if as_json:
        print_json({"jobs": jobs})
        return
    rows = [
        (job["id"], job["status"], job["type"], job["queue"], f"{job['progress']:.0f} %", job["created_at"])
        for job in jobs
    ]
    print_rows(("id", "status", "type", "queue", "progress", "created"), rows, empty="No job matches.")


def why(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Explain in a sentence why a job does not go on, or who works on it.

    Example: jobtrack jobs why ID
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        waiting = api.get_waiting(job_id)
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
    """List a job's files in the order of their first report.

    Example: jobtrack jobs files ID --status failed
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        matches = api.iter_items(job_id, status)
        items = list(matches if every else itertools.islice(matches, limit))
    if as_json:
        print_json({"items": items})
        return
    rows = [
        (item["key"], item["status"], item["stage"], item["error_code"] or item["skip_reason"] or item["message"])
        for item in items
    ]
    print_rows(("key", "status", "stage", "why"), rows, empty="The job has no such files.")


def events(job_id: JobId, url: Url = None, as_json: AsJson = False) -> None:
    """Show the history of a job, attempt by attempt."""
    url = address(url)
    history: list[Any] = []
    with clear_sentences(url), client(url) as api:
        cursor: str | None = ""
        while cursor is not None:
            page = api.list_events(job_id, cursor=cursor)
            history += page["events"]
            cursor = page["next_cursor"]
    if as_json:
        print_json({"events": history})
        return
    rows = [(event["at"], event["type"], event["attempt"], event["to"], event["worker"]) for event in history]
    print_rows(("at", "event", "attempt", "status", "worker"), rows, empty="The job has no events.")


def logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until the job has ended.")] = False,
    offset: Annotated[int, typer.Option("--offset", min=0, help="The number of the first line to show.")] = 0,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the log of a job. With --json, print one JSON object for each line.

    Example: jobtrack jobs logs ID --follow
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if follow:
            # At once, so that a wrong address or id is reported sooner than a restart may take.
            api.read_logs(job_id, offset=offset, limit=1)
            for line in api.follow_logs(job_id, offset):
                _print_line(line, as_json)
            return
        more = True
        while more:
            page = api.read_logs(job_id, offset=offset)
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
        str | None, typer.Argument(metavar="[ID]", help="Watch this job until it has ended; default: all jobs.")
    ] = None,
    queue: Queues = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they happen: of a job until it has ended, of all jobs until Ctrl-C.

    The exit code is 1 if the job did not succeed. A restart of the service, or an absence, does not end the watch.
    With --json, print one JSON object for each event.
    """
    url = address(url)
    latest: list[Any] = []
    with clear_sentences(url), client(url) as api:
        # At once, so that a wrong address or id is reported sooner than a restart may take.
        if job_id is not None:
            latest = [api.get_job(job_id)]
        else:
            api.list_jobs(limit=1, **filter_conditions(None, None, queue, None))
        for event in api.stream_events(queues=queue) if job_id is None else api.stream_job(job_id):
            if event.name in ("snapshot", "job") and job_id is not None:
                latest = [event.data]
            if as_json:
                print_json({"event": event.name, "data": event.data})
            elif event.name.startswith("job."):
                entry = event.data
                print(entry["at"], entry["job_id"], event.name, entry["worker"] or "", flush=True)
            elif event.name in ("snapshot", "job") and job_id is not None:
                job = event.data
                print(job["updated_at"], job["id"], job["status"], f"{job['progress']:.0f} %", flush=True)
    raise typer.Exit(exit_code(latest))
