"""Wait for jobs with their progress on the screen, for `jobtrack jobs wait` and `submit --wait`."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.choices import seconds
from app.cli.exits import Exit, explain, fail
from app.cli.exits import exit_code as outcome_of
from app.cli.printable import printable

if TYPE_CHECKING:
    from jobtrack_client import Job, JobtrackClient

Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", parser=seconds, metavar="SECONDS", help="Give up after this many seconds, with exit code 8."
    ),
]


class Waited(NamedTuple):
    """The jobs as they were last seen, and the ids of those that were deleted meanwhile."""

    jobs: list[Job]
    deleted: list[str]


def wait_for(api: JobtrackClient, job_ids: Sequence[str], timeout: float | None, *, quiet: bool) -> Waited:
    """Wait until the jobs have ended, or the time is over; `quiet` shows no progress."""
    from app.cli.progress import Board
    from jobtrack_client import is_terminal

    end = None if timeout is None else time.monotonic() + timeout
    deleted: list[str] = []
    with Board(quiet=quiet) as board:
        # At once, so that a wrong address is reported sooner than a restart may take.
        answer = api.wait_jobs(job_ids, wait=0)
        if answer["not_found"]:
            fail(Exit.NOT_FOUND, f"There is no job {', '.join(answer['not_found'])} that this API key may read.")
        latest = {job["id"]: job for job in answer["jobs"]}
        while True:
            board.show(latest.values())
            live = {job_id: job["version"] for job_id, job in latest.items() if not is_terminal(job)}
            if not live or (end is not None and time.monotonic() >= end):
                return Waited(list(latest.values()), deleted)
            left = -1 if end is None else math.ceil(max(0.0, end - time.monotonic()))
            changed = api.wait_jobs(list(live), until="change", versions=live, wait=left)
            # A job that was deleted meanwhile will never end, and how it ended nobody can say.
            deleted += changed["not_found"]
            latest = {job_id: job for job_id, job in latest.items() if job_id not in changed["not_found"]}
            latest |= {job["id"]: job for job in changed["jobs"]}


def exit_code(waited: Waited) -> Exit:
    """Return the exit code for what was waited for, with a sentence about jobs that were deleted."""
    code = outcome_of(waited.jobs)
    if not waited.deleted or code is Exit.JOB_FAILED:
        return code
    explain(f"Deleted before its end was seen: {', '.join(waited.deleted)}.")
    return Exit.NOT_FOUND


def outcome(job: Job) -> str:
    """Describe the state of a job in one line, with its error."""
    from app.cli.progress import counts

    line = f"{job['id']} {job['status']}"
    if counts(job):
        line += f" ({counts(job)})"
    if job["error"]:
        line += f": {job['error']['code']}: {job['error']['message']}"
    return printable(line)
