"""Ids of jobs as people pass them: whole, or the last characters that a table shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.cells import SHORT_ID
from app.cli.exits import Exit, fail
from app.cli.pages import rows_of

if TYPE_CHECKING:
    from jobtrack_client import Job, JobtrackClient

NEWEST = 1000
"""So many jobs are searched: a person means one that a list has just shown. Scripts pass whole ids."""
_CANDIDATES = 10
# A whole id ends in a group of twelve characters.
_SHORT = re.compile(rf"[0-9a-f]{{{SHORT_ID},12}}", re.IGNORECASE)
_HELP = f"or its last {SHORT_ID} characters, as tables show them"

JobId = Annotated[str, typer.Argument(metavar="ID", help=f"The id of the job, {_HELP}.")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID", help=f"The ids of the jobs, each whole {_HELP}.")]


def whole_id(api: JobtrackClient, job_id: str) -> str:
    """Return the whole id of a job."""
    return whole_ids(api, [job_id])[0]


def whole_ids(api: JobtrackClient, job_ids: Sequence[str]) -> list[str]:
    """Return the whole ids of jobs. The list is read once, and only for short ids."""
    if not any(map(_SHORT.fullmatch, job_ids)):
        return list(job_ids)
    newest = list(rows_of(api.list_jobs, "jobs", NEWEST))
    return [_find(job_id.lower(), newest) if _SHORT.fullmatch(job_id) else job_id for job_id in job_ids]


def _find(end: str, newest: list[Job]) -> str:
    found = [job for job in newest if job["id"].endswith(end)]
    if not found:
        fail(Exit.NOT_FOUND, f"None of the newest {NEWEST:,} jobs has an id that ends in {end}: pass the whole id.")
    if len(found) > 1:
        candidates = ", ".join(f"{job['id']} ({job['type'][:60]}, {job['status']})" for job in found[:_CANDIDATES])
        more = f" and {len(found) - _CANDIDATES} more" if len(found) > _CANDIDATES else ""
        fail(Exit.USAGE, f"{end} is ambiguous, pass one of the whole ids: {candidates}{more}.")
    return found[0]["id"]
