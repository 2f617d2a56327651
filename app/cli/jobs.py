"""`jobtrack jobs`: show one job, or wait for several to end."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import job_changes, job_reading
from app.cli.choices import seconds
from app.cli.exits import Exit, clear_sentences, exit_code, fail
from app.cli.target import AsJson, Url, address, client

if TYPE_CHECKING:
    from jobtrack_client import Job

_MAX_IDS = 100

app = typer.Typer(help="Submit, show, watch and change jobs.", no_args_is_help=True, rich_markup_mode=None)
app.command("list")(job_reading.list_jobs)
app.command("submit")(job_changes.submit)


@app.command("get")
def get(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the job.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the current state of one job."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        job = api.get_job(job_id)
    print(json.dumps(job) if as_json else describe(job))


@app.command("wait")
def wait(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of the jobs, 100 at most.")],
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", parser=seconds, metavar="SECONDS", help="Give up after this many seconds, with exit code 8."
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Wait until the jobs have ended. The exit code is 1 if one of them did not succeed.

    A restart of the service, or an absence, does not end the wait.
    """
    from app.cli.progress import Board
    from jobtrack_client import is_terminal

    if len(job_ids) > _MAX_IDS:
        fail(Exit.USAGE, f"{len(job_ids)} ids are too many: at most {_MAX_IDS} jobs can be waited for at a time.")
    url = address(url)
    end = None if timeout is None else time.monotonic() + timeout
    deleted: list[str] = []
    with clear_sentences(url), Board(quiet=as_json) as board, client(url) as api:
        # At once, so that a wrong address is reported sooner than a restart may take.
        answer = api.wait_jobs(job_ids, wait=0)
        if answer["not_found"]:
            fail(Exit.NOT_FOUND, f"There is no job {', '.join(answer['not_found'])} that this API key may read.")
        latest = {job["id"]: job for job in answer["jobs"]}
        while True:
            board.show(latest.values())
            live = {job_id: job["version"] for job_id, job in latest.items() if not is_terminal(job)}
            if not live or (end is not None and time.monotonic() >= end):
                break
            left = -1 if end is None else math.ceil(max(0.0, end - time.monotonic()))
            changed = api.wait_jobs(list(live), until="change", versions=live, wait=left)
            # A job that was deleted meanwhile will never end, and how it ended nobody can say.
            deleted += changed["not_found"]
            latest = {job_id: job for job_id, job in latest.items() if job_id not in changed["not_found"]}
            latest |= {job["id"]: job for job in changed["jobs"]}
    jobs = list(latest.values())
    print(json.dumps({"jobs": jobs}) if as_json else "\n".join(map(outcome, jobs)))
    code = exit_code(jobs)
    if deleted and code is not Exit.JOB_FAILED:
        fail(Exit.NOT_FOUND, f"Deleted before its end was seen: {', '.join(deleted)}.")
    raise typer.Exit(code)


def outcome(job: Job) -> str:
    """Describe the state of a job in one line, with its error."""
    from app.cli.progress import counts

    line = f"{job['id']} {job['status']}"
    if counts(job):
        line += f" ({counts(job)})"
    if job["error"]:
        line += f": {job['error']['code']}: {job['error']['message']}"
    return line


def describe(job: Job) -> str:
    """Describe a job in several lines, with the fields that people look for first."""
    from app.cli.progress import counts, eta

    attempt = f"{job['attempt']} of {job['max_attempts']}"
    estimate = job["eta"]
    bounds = f" ({estimate['low_seconds']:.0f} to {estimate['high_seconds']:.0f} s)" if estimate and eta(job) else ""
    lines: dict[str, Any] = {
        "id": job["id"],
        "type": job["type"],
        "queue": job["queue"],
        "collection": job["collection"],
        "status": job["status"],
        "stage": job["stage"],
        "progress": f"{job['progress']:.0f} %",
        "items": counts(job),
        "eta": f"{eta(job)}{bounds}",
        "message": job["message"],
        "error": f"{job['error']['code']}: {job['error']['message']}" if job["error"] else None,
        "attempt": attempt if job["attempt"] else None,
        "worker": job["worker"],
        "rerun of": job["original_job_id"],
        "created": job["created_at"],
        "completed": job["completed_at"],
        "result": json.dumps(job.get("result")) if job.get("result") is not None else None,
    }
    return "\n".join(f"{name + ':':<12}{value}" for name, value in lines.items() if value not in {None, ""})


app.command("watch")(job_reading.watch)
app.command("why")(job_reading.why)
app.command("files")(job_reading.files)
app.command("events")(job_reading.events)
app.command("logs")(job_reading.logs)
app.command("cancel")(job_changes.cancel)
app.command("rerun")(job_changes.rerun)
app.command("delete")(job_changes.delete)
