"""The options that select jobs, as `list`, `cancel`, `rerun` and `watch` have them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli import times
from app.cli.choices import choice, shown
from app.domain.states import JobState

Statuses = Annotated[list[str] | None, choice("--status", JobState, "Only jobs with this status; may be repeated.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="Only jobs of this type; may be repeated.")
]
Queues = Annotated[
    list[str] | None, typer.Option("--queue", metavar="NAME", help="Only jobs in this queue; may be repeated.")
]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="NAME=VALUE", help="Only jobs with this label; may be repeated, and all must match."
    ),
]
Collection = Annotated[str | None, typer.Option("--collection", metavar="NAME", help="Only jobs of this collection.")]


def filter_conditions(
    status: list[str] | None,
    kind: list[str] | None,
    queue: list[str] | None,
    label: list[str] | None,
    collection: str | None = None,
    since: datetime | None = None,
) -> dict[str, Any]:
    """Return the filter options as the client's arguments, without those that are not used."""
    options = {
        "status": status,
        "type": kind,
        "queue": queue,
        "labels": labels_of(label),
        "created_after": times.text(since),
    }
    conditions = {name: value for name, value in options.items() if value}
    # An empty name is refused by the service, and does not mean all.
    return conditions if collection is None else {**conditions, "collection": collection}


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Parse labels of the form NAME=VALUE."""
    labels = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{shown(text)} is not NAME=VALUE", param_hint="--label")
        labels[name] = value
    return labels
