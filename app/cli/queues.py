"""`jobtrack queues`: show queues and change their rules."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli import cells
from app.cli.exits import clear_sentences
from app.cli.pages import rows_of
from app.cli.tables import Cell, Column, print_fields, print_json, print_rows
from app.cli.target import AsJson, Url, address, client
from app.cli.times import span

app = typer.Typer(help="Show and control queues.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the queue.")]


@app.command("list")
def list_queues(url: Url = None, as_json: AsJson = False) -> None:
    """List the queues: whether they are paused, how many jobs are in them by status, and how long the next is due."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queues = rows_of(api.list_queues, "queues")
        if as_json:
            print_json({"queues": list(queues)})
        else:
            print_rows(_COLUMNS, map(_row, queues), empty="There are no queues yet.")


@app.command("show")
def show(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Show one queue, with its rules."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.get_queue(name)
    _show(queue, as_json)


@app.command("pause")
def pause(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Stop handing out jobs of a queue. Jobs that are claimed already continue."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.pause_queue(name)
    _show(queue, as_json)


@app.command("resume")
def resume(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Resume handing out jobs of a queue."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.resume_queue(name)
    _show(queue, as_json)


@app.command("delete")
def delete(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Forget the rules of a queue that has no live jobs. Ended jobs stay."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        api.delete_queue(name)
    if as_json:
        print_json({"deleted": name})


@app.command("set")
def set_rules(
    name: Name,
    concurrency_limit: Annotated[
        int | None,
        typer.Option(
            "--concurrency-limit",
            metavar="NUMBER",
            min=0,
            help="How many jobs may be held at the same time; 0: any number.",
        ),
    ] = None,
    retention_seconds: Annotated[
        int | None,
        typer.Option("--retention-seconds", metavar="SECONDS", min=0, help="How long ended jobs are kept; 0: forever."),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set rules of a queue. Rules that are not named stay as they are.

    Example: jobtrack queues set imports --concurrency-limit 4
    """
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.get_queue(name)
        rules: dict[str, Any] = {field: queue[field] for field in ("paused", "concurrency_limit", "retry", "retention")}
        if concurrency_limit is not None:
            rules["concurrency_limit"] = concurrency_limit or None
        if retention_seconds is not None:
            rules["retention"] = {"seconds": retention_seconds} if retention_seconds else None
        queue = api.put_queue(name, **rules)
    _show(queue, as_json)


_STATES = ("pending", "retrying", "dispatched", "running", "cancelling")
_COLUMNS = (
    Column("name", rank=0),
    Column("state", rank=0, wide=False),
    *(Column(state, only="pipe") for state in _STATES),
    Column("jobs", rank=0, fold=True, only="terminal"),
    Column("limit", rank=2, wide=False, right=True),
    Column("oldest", rank=1, wide=False),
    Column("created", rank=4, wide=False, right=True),
    Column("ended", rank=3, wide=False, right=True),
)


def _row(queue: Any) -> tuple[object, ...]:
    rates = queue["rates"]
    return (
        queue["name"],
        _state(queue),
        *(queue["depth"][state] for state in _STATES),
        _depth(queue),
        Cell(queue["concurrency_limit"], _limit(queue)),
        cells.seconds(queue["oldest_waiting_seconds"]),
        Cell(rates["created_per_minute"], f"{rates['created_per_minute']}/min"),
        Cell(rates["ended_per_minute"], f"{rates['ended_per_minute']}/min"),
    )


def _state(queue: Any) -> Cell:
    return Cell("paused", "‖ paused", "yellow") if queue["paused"] else Cell("open", "● open", "green")


def _depth(queue: Any) -> str:
    return ", ".join(f"{queue['depth'][state]:,} {state}" for state in _STATES if queue["depth"][state]) or "none"


def _limit(queue: Any) -> str:
    return "none" if queue["concurrency_limit"] is None else str(queue["concurrency_limit"])


def _show(queue: Any, as_json: bool) -> None:
    if as_json:
        print_json(queue)
        return
    retry, retention, rates = queue["retry"], queue["retention"], queue["rates"]
    print_fields(
        {
            "name": queue["name"],
            "state": _state(queue),
            "limit": _limit(queue),
            "jobs": _depth(queue),
            "oldest": cells.seconds(queue["oldest_waiting_seconds"]),
            "created": f"{rates['created_per_minute']} a minute",
            "ended": f"{rates['ended_per_minute']} a minute",
            "retry": retry and ", ".join(f"{name} {value:g}" for name, value in retry.items()),
            "retention": retention and Cell(retention["seconds"], span(retention["seconds"])),
        }
    )
