"""`jobtrack workers`: show who asks for jobs."""

from __future__ import annotations

from typing import Any

import typer

from app.cli import cells
from app.cli.exits import clear_sentences
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client

app = typer.Typer(help="Show the workers that ask for jobs.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


@app.command("list")
def list_workers(url: Url = None, as_json: AsJson = False) -> None:
    """List the workers that asked for jobs within the last day, with what they ask for and hold."""
    url = address(url)
    workers: list[Any] = []
    with clear_sentences(url), client(url) as api:
        cursor: str | None = ""
        while cursor is not None:
            page = api.list_workers(cursor=cursor)
            workers += page["workers"]
            cursor = page["next_cursor"]
    if as_json:
        print_json({"workers": workers})
        return
    rows = [
        (
            worker["name"],
            "present" if worker["present"] else "silent",
            worker["held"],
            cells.age(worker["last_asked_at"]),
            _names(worker["queues"], worker["more_queues"]),
            _names(worker["types"], worker["more_types"]),
            worker["client"],
        )
        for worker in workers
    ]
    columns = ("name", "state", "held", "last asked", "queues", "types", "client")
    print_rows(columns, rows, empty="No worker has asked for jobs within the last day.")


def _names(names: list[str] | None, more: bool) -> str:
    if names is None:
        return "any"
    return ", ".join(names) + (", ..." if more else "") or "by id"
