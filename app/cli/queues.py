"""`jobtrack queues`: how deep they are, and what is set for them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.exits import clear_sentences
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client

app = typer.Typer(help="See and steer queues.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name.")]


@app.command("list")
def list_queues(url: Url = None, as_json: AsJson = False) -> None:
    """List queues with what waits and what is held in each."""
    url = address(url)
    found: list[Any] = []
    with clear_sentences(url), client(url) as asked:
        cursor: str | None = ""
        while cursor is not None:
            page = asked.list_queues(cursor=cursor)
            found += page["queues"]
            cursor = page["next_cursor"]
    _show(found, as_json, {"queues": found})


@app.command("show")
def show(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Show one queue."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        queue = asked.get_queue(name)
    _show([queue], as_json, queue)


@app.command("pause")
def pause(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Hand out nothing more from a queue; what is held goes on."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        queue = asked.pause_queue(name)
    _show([queue], as_json, queue)


@app.command("resume")
def resume(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Let a queue go on."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        queue = asked.resume_queue(name)
    _show([queue], as_json, queue)


@app.command("set")
def set_rules(
    name: Name,
    concurrency_limit: Annotated[
        int | None, typer.Option("--concurrency-limit", help="The most jobs held at once; 0: any number.")
    ] = None,
    retention_seconds: Annotated[
        int | None, typer.Option("--retention-seconds", help="How long ended jobs are kept; 0: for ever.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set a queue's rules; what is not named stays as it is.

    Example: jobtrack queues set imports --concurrency-limit 4
    """
    from jobtrack_client import NotFound

    url = address(url)
    with clear_sentences(url), client(url) as asked:
        rules: dict[str, Any] = {}
        try:
            queue = asked.get_queue(name)
            rules = {field: queue[field] for field in ("paused", "concurrency_limit", "retry", "retention")}
        except NotFound:
            pass  # It is made by this.
        if concurrency_limit is not None:
            rules["concurrency_limit"] = concurrency_limit or None
        if retention_seconds is not None:
            rules["retention"] = {"seconds": retention_seconds} if retention_seconds else None
        queue = asked.put_queue(name, **rules)
    _show([queue], as_json, queue)


def _show(queues: list[Any], as_json: bool, document: Any) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (
            queue["name"],
            "paused" if queue["paused"] else "open",
            queue["depth"]["pending"] + queue["depth"]["retrying"],
            queue["depth"]["dispatched"] + queue["depth"]["running"] + queue["depth"]["cancelling"],
            "" if queue["concurrency_limit"] is None else queue["concurrency_limit"],
            "" if queue["oldest_waiting_seconds"] is None else f"{queue['oldest_waiting_seconds']:.0f} s",
            f"{queue['rates']['created_per_minute']}/min",
            f"{queue['rates']['ended_per_minute']}/min",
        )
        for queue in queues
    ]
    columns = ("name", "state", "waiting", "held", "limit", "oldest", "created", "ended")
    print_rows(columns, rows, empty="There is no queue yet.")
