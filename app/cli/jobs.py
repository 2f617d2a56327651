"""`jobtrack jobs`: one job as it stands, or several until they have ended."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import job_changes, job_reading
from app.cli.exits import Exit, clear_sentences, fail
from app.cli.target import AsJson, Url, address, client

if TYPE_CHECKING:
    from jobtrack_client import Job

# A job with failed items has done what it could; whether that is enough is for its owner.
SUCCEEDED = frozenset({"completed", "completed_with_failures"})
# Seconds that one request waits for a change: short enough for proxies, and for Ctrl-C to be no surprise to them.
_WAIT_SECONDS = 20
_MOST_IDS = 100

app = typer.Typer(help="Submit, read, follow and change jobs.", no_args_is_help=True, rich_markup_mode=None)
app.command("list")(job_reading.list_jobs)
app.command("submit")(job_changes.submit)


@app.command("get")
def get(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show one job as it stands now."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        job = asked.get_job(job_id)
    print(json.dumps(job) if as_json else describe(job))


@app.command("wait")
def wait(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids, 100 at most.")],
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Give up after so many seconds, with exit code 8.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Wait until the jobs have ended; exit code 1 when one was not completed."""
    from app.cli.progress import Board
    from jobtrack_client import is_terminal

    if len(job_ids) > _MOST_IDS:
        fail(Exit.USAGE, f"{len(job_ids)} ids are too many: {_MOST_IDS} can be waited for at a time.")
    url = address(url)
    end = None if timeout is None else time.monotonic() + timeout
    with clear_sentences(url), Board(quiet=as_json) as board:
        # The first look is a quick one: a wrong address should not take as long as a restart may.
        with client(url) as asked:
            answer = asked.wait_jobs(job_ids, wait=0)
        if answer["not_found"]:
            fail(Exit.NOT_FOUND, f"There is no job {', '.join(answer['not_found'])} that this key may see.")
        known = {job["id"]: job for job in answer["jobs"]}
        with client(url, patient=True) as asked:
            while True:
                board.show(known.values())
                live = {job_id: job["version"] for job_id, job in known.items() if not is_terminal(job)}
                left = _WAIT_SECONDS if end is None else min(_WAIT_SECONDS, int(max(0.0, end - time.monotonic()) + 1))
                if not live or (end is not None and time.monotonic() >= end):
                    break
                changed = asked.wait_jobs(list(live), until="change", versions=live, wait=left)
                # One that was deleted meanwhile will not end any more.
                known = {job_id: job for job_id, job in known.items() if job_id not in changed["not_found"]}
                known |= {job["id"]: job for job in changed["jobs"]}
    jobs = list(known.values())
    print(json.dumps({"jobs": jobs}) if as_json else "\n".join(map(outcome, jobs)))
    raise typer.Exit(exit_code(jobs))


def exit_code(jobs: list[Job]) -> Exit:
    """Give what the ends of these jobs mean to a script."""
    from jobtrack_client import is_terminal

    if any(is_terminal(job) and job["status"] not in SUCCEEDED for job in jobs):
        return Exit.JOB_FAILED
    return Exit.OK if all(map(is_terminal, jobs)) else Exit.TIMED_OUT


def outcome(job: Job) -> str:
    """One line: how a job stands, and why."""
    from app.cli.progress import counts

    line = f"{job['id']} {job['status']}"
    if counts(job):
        line += f" ({counts(job)})"
    if job["error"]:
        line += f": {job['error']['code']}: {job['error']['message']}"
    return line


def describe(job: Job) -> str:
    """One line for each thing that a person asks first."""
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
app.command("files")(job_reading.files)
app.command("events")(job_reading.events)
app.command("logs")(job_reading.logs)
app.command("cancel")(job_changes.cancel)
app.command("rerun")(job_changes.rerun)
app.command("delete")(job_changes.delete)
