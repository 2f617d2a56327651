"""What tables and fields show of the values that jobs, items, queues and keys have in common."""

from __future__ import annotations

from app.cli import times
from app.cli.tables import Cell

SHORT_ID = 8
"""So many of an id's last characters tables show; every command takes them back (`job_ids`)."""

# The sign, the word and the colour of each status of a job or an item. The sign alone tells the outcome without colour.
_STATUSES = {
    "pending": ("○", "pending", ""),
    "queued": ("○", "queued", ""),
    "dispatched": ("●", "dispatched", "cyan"),
    "running": ("●", "running", "cyan"),
    "processing": ("●", "processing", "cyan"),
    "retrying": ("↻", "retrying", "yellow"),
    "cancelling": ("◐", "cancelling", "yellow"),
    "completed": ("✓", "completed", "green"),
    "completed_with_failures": ("!", "completed", "yellow"),
    "failed": ("✗", "failed", "red"),
    "expired": ("✗", "expired", "red"),
    "cancelled": ("✗", "cancelled", "magenta"),
    "skipped": ("○", "skipped", "dim"),
}


def short_id(job_id: str) -> Cell:
    """Return a job's id, shortened for a terminal."""
    return Cell(job_id, job_id[-SHORT_ID:])


def status(word: str) -> Cell:
    """Return a status with its sign and colour; one that a newer service has is shown as it is."""
    sign, short, style = _STATUSES.get(word, ("", word, ""))
    return Cell(word, f"{sign} {short}".strip(), style)


def word(text: str) -> str:
    """Return the short word for a status, without its sign."""
    return _STATUSES.get(text, ("", text, ""))[1]


def change(source: str | None, target: str) -> Cell:
    """Return a step from one status to another; where it is no step, the status alone."""
    to = status(target)
    shown = to.shown if source in (None, target) else f"{word(source or '')} → {to.shown}"
    return Cell(target, shown, to.style)


def age(moment: str | None, otherwise: str = "") -> Cell:
    """Return a time: on a terminal how long ago it was."""
    return Cell(moment, otherwise if moment is None else times.age(moment))


def clock(moment: str) -> Cell:
    """Return a time: on a terminal in the viewer's zone, and without today's date."""
    return Cell(moment, times.clock(moment))


def full_time(moment: str | None) -> Cell | None:
    """Return a time: on a terminal in the viewer's zone, with how long ago it was."""
    return None if moment is None else Cell(moment, times.full(moment))


def percent(value: float) -> Cell:
    """Return a part of a hundred."""
    return Cell(f"{value:g}", f"{value:.0f} %")


def seconds(value: float | None) -> Cell:
    """Return a duration: a plain number for a pipe."""
    return Cell(value if value is None else f"{value:g}", "" if value is None else times.span(value))
