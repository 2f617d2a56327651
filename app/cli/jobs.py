"""`jobtrack jobs`: show one job, or wait for several to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from app.cli import cells, job_changes, job_reading, job_watch
from app.cli.exits import Exit, clear_sentences, fail
from app.cli.job_ids import JobId, JobIds, whole_id, whole_ids
from app.cli.job_waits import Timeout, exit_code, outcome, wait_for
from app.cli.submit import submit
from app.cli.tables import Cell, print_fields, print_json
from app.cli.target import AsJson, Url, address, client
from app.cli.times import is_ahead

if TYPE_CHECKING:
    from jobtrack_client import Job

_MAX_IDS = 100

app = typer.Typer(help="Submit, show, watch and change jobs.", no_args_is_help=True, rich_markup_mode=None)
app.command("list")(job_reading.list_jobs)
app.command("submit")(submit)


@app.command("get")
def get(
    job_id: JobId,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the current state of one job."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        job = api.get_job(whole_id(api, job_id))
    print_json(job) if as_json else describe(job)


@app.command("wait")
def wait(job_ids: JobIds, timeout: Timeout = None, url: Url = None, as_json: AsJson = False) -> None:
    """Wait until the jobs, 100 at most, have ended. The exit code is 1 if one of them did not succeed.

    A restart of the service, or an absence, does not end the wait.
    """
    if len(job_ids) > _MAX_IDS:
        fail(Exit.USAGE, f"{len(job_ids)} ids are too many: at most {_MAX_IDS} jobs can be waited for at a time.")
    url = address(url)
    with clear_sentences(url), client(url) as api:
        waited = wait_for(api, whole_ids(api, job_ids), timeout, quiet=as_json)
    print_json({"jobs": waited.jobs}) if as_json else print("\n".join(map(outcome, waited.jobs)))
    raise typer.Exit(exit_code(waited))


def describe(job: Job) -> None:
    """Print a job in several lines, with the fields that people look for first."""
    from app.cli.progress import counts, eta

    estimate = job["eta"]
    bounds = f" ({estimate['low_seconds']:.0f} to {estimate['high_seconds']:.0f} s)" if estimate and eta(job) else ""
    is_due_later = job["status"] in ("pending", "retrying") and is_ahead(job["scheduled_at"])
    labels = ", ".join(f"{name}={value}" for name, value in job["labels"].items())
    print_fields(
        {
            "id": job["id"],
            "type": job["type"],
            "queue": job["queue"],
            "collection": job["collection"],
            "labels": labels,
            "status": Cell(job["status"], f"{cells.status(job['status']).shown.split()[0]} {job['status']}"),
            "stage": job["stage"],
            "progress": f"{job['progress']:.0f} %",
            "items": counts(job),
            "eta": f"{eta(job)}{bounds}",
            "message": job["message"],
            "error": f"{job['error']['code']}: {job['error']['message']}" if job["error"] else None,
            "attempt": f"{job['attempt']} of {job['max_attempts']}" if job["attempt"] else None,
            "worker": job["worker"],
            "engine": job["engine"],
            "priority": job["priority"] or None,
            "rerun of": job["original_job_id"],
            "created": cells.full_time(job["created_at"]),
            "due": cells.full_time(job["scheduled_at"]) if is_due_later else None,
            "started": cells.full_time(job["started_at"]),
            "expires": None if job["completed_at"] else cells.full_time(job["expires_at"]),
            "completed": cells.full_time(job["completed_at"]),
            "result": json.dumps(job.get("result")) if job.get("result") is not None else None,
        }
    )


app.command("watch")(job_watch.watch)
app.command("why")(job_reading.why)
app.command("files")(job_reading.files)
app.command("events")(job_reading.events)
app.command("logs")(job_reading.logs)
app.command("cancel")(job_changes.cancel)
app.command("rerun")(job_changes.rerun)
app.command("delete")(job_changes.delete)
