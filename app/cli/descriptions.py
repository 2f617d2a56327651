"""What an event in the history of a job, an item and a job itself say about why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.cli import times
from app.cli.tables import Cell

if TYPE_CHECKING:
    from jobtrack_client import Item, Job
    from jobtrack_client.job_models import Event

_LONGEST = 200
"""Characters of a message on a terminal; `--json` has all."""


def reason_of(event: Event) -> str | None:
    """Return why it happened: the code of an error, or what the caller gave as the reason of a cancel."""
    data: Any = event["data"]
    reason = data.get("reason") if isinstance(data, Mapping) else None
    return None if reason is None else str(reason)


def why(event: Event, job: Job | None = None) -> Cell:
    """Describe an event beyond its change of status: what else it was, stage, progress, error, and when it goes on.

    The history has the code of an error alone. Its message is that of the job, if the event is the job's last failure.
    """
    data: Any = event["data"] if isinstance(event["data"], Mapping) else {}
    name = event["type"].removeprefix("job.")
    parts = [] if name in (event["to"], "claimed", "progressed") else [name]
    if data.get("stage"):
        parts.append(str(data["stage"]))
    if isinstance(progress := data.get("progress"), int | float):
        parts.append(f"{progress:.0f} %")
    error = None if job is None else job["error"]
    if reason := reason_of(event):
        parts.append(f"{reason}: {error['message']}" if error and error["code"] == reason else reason)
    text = ", ".join(parts)
    if job is not None and job["status"] == event["to"] == "retrying" and times.is_ahead(job["scheduled_at"]):
        parts.append(f"again {times.age(job['scheduled_at'])}")
    return Cell(text, short(", ".join(parts)))


def why_item(item: Item) -> str:
    """Describe why an item is as it is: its error, why it was skipped, or what its worker says of it."""
    error = ": ".join(text for text in (item["error_code"], item["error_message"]) if text)
    return error or item["skip_reason"] or item["message"] or ""


def detail(job: Job) -> str:
    """Describe in a few words what a list shows of a job beside its status: the error, when it is due, or the stage."""
    code = job["error"]["code"] if job["error"] else ""
    if job["completed_at"]:
        return code
    if job["status"] in ("pending", "retrying") and times.is_ahead(job["scheduled_at"]):
        return ", ".join(part for part in (f"due {times.age(job['scheduled_at'])}", code) if part)
    return job["stage"] or code


def now(job: Job) -> Cell:
    """Describe how far a live job is, or the outcome of one that has ended."""
    from app.cli.progress import counts, eta

    error = f"{job['error']['code']}: {job['error']['message']}" if job["error"] else None
    parts = (
        *((None, None) if job["completed_at"] else (job["stage"], f"{job['progress']:.0f} %")),
        counts(job),
        eta(job),
        error or (None if job["completed_at"] else job["message"]),
    )
    text = ", ".join(part for part in parts if part)
    return Cell(text, short(text))


def short(text: str) -> str:
    """Cut a message that would fill the screen."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
