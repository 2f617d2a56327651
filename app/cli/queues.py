"""`jobtrack queues`: show queues and change their rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from app.cli.choices import seconds
from app.cli.exits import clear_sentences
from app.cli.tables import print_json, print_rows
from app.cli.target import AsJson, Url, address, client

RULES = ("paused", "reason", "until", "concurrency_limit", "retry", "expected_seconds", "retention")
app = typer.Typer(help="Show and control queues.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the queue.")]


@app.command("list")
def list_queues(url: Url = None, as_json: AsJson = False) -> None:
    """List the queues, with the number of waiting and of claimed jobs in each."""
    url = address(url)
    queues: list[Any] = []
    with clear_sentences(url), client(url) as api:
        cursor: str | None = ""
        while cursor is not None:
            page = api.list_queues(cursor=cursor)
            queues += page["queues"]
            cursor = page["next_cursor"]
    _show(queues, as_json, {"queues": queues})


@app.command("show")
def show(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Show one queue."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.get_queue(name)
    _show([queue], as_json, queue)


@app.command("pause")
def pause(
    name: Name,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for whoever sees that the queue waits.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Resume by itself at this time, with its offset.")
    ] = None,
    length: Annotated[
        float | None, typer.Option("--for", parser=seconds, metavar="SECONDS", help="Resume by itself after so long.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stop handing out jobs of a queue. Jobs that are claimed already continue.

    Example: jobtrack queues pause docs --reason "the index is being rebuilt" --for 3600
    """
    if until is not None and length is not None:
        raise typer.BadParameter("--until and --for exclude each other", param_hint="--for")
    if length is not None:
        until = _in(length)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.pause_queue(name, reason=reason, until=until)
    _show([queue], as_json, queue)


@app.command("resume")
def resume(name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Resume handing out jobs of a queue."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.resume_queue(name)
    _show([queue], as_json, queue)


@app.command("delete")
def delete(name: Name, url: Url = None) -> None:
    """Forget the rules of a queue that has no live jobs. Ended jobs stay."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        api.delete_queue(name)


@app.command("set")
def set_rules(
    name: Name,
    concurrency_limit: Annotated[
        int | None,
        typer.Option("--concurrency-limit", min=0, help="How many jobs may be held at the same time; 0: any number."),
    ] = None,
    retention_seconds: Annotated[
        int | None, typer.Option("--retention-seconds", min=0, help="How long ended jobs are kept; 0: for ever.")
    ] = None,
    retention_failed_seconds: Annotated[
        int | None,
        typer.Option("--retention-failed-seconds", min=0, help="The same for failed and expired jobs; 0: for ever."),
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
        rules: dict[str, Any] = {field: value for field, value in queue.items() if field in RULES}
        if concurrency_limit is not None:
            rules["concurrency_limit"] = concurrency_limit or None
        if retention_seconds is not None:
            rules["retention"] = (rules["retention"] or {}) | {"seconds": retention_seconds}
        if retention_failed_seconds is not None:
            rules["retention"] = (rules["retention"] or {}) | {"failed_seconds": retention_failed_seconds}
        queue = api.put_queue(name, **rules)
    _show([queue], as_json, queue)


def _in(length: float) -> str:
    try:
        return (datetime.now(UTC) + timedelta(seconds=length)).isoformat(timespec="milliseconds")
    except OverflowError:
        raise typer.BadParameter("so long is for ever: leave it out", param_hint="--for") from None


def _show(queues: list[Any], as_json: bool, document: Any) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (
            queue["name"],
            _state(queue),
            queue["due"],
            queue["scheduled"],
            queue["held"],
            "" if queue["concurrency_limit"] is None else queue["concurrency_limit"],
            "" if queue["oldest_waiting_seconds"] is None else f"{queue['oldest_waiting_seconds']:.0f} s",
            f"{queue['rates']['created_per_minute']}/min",
            f"{queue['rates']['ended_per_minute']}/min",
        )
        for queue in queues
    ]
    columns = ("name", "state", "due", "scheduled", "held", "limit", "oldest", "created", "ended")
    print_rows(columns, rows, empty="There are no queues yet.")


def _state(queue: Any) -> str:
    """Write whether a queue is paused, by whom, until when and why."""
    if not queue["paused"]:
        return "open"
    by = f" by {queue['paused_by']}" if queue["paused_by"] else ""
    until = f" until {queue['until']}" if queue["until"] else ""
    reason = f": {queue['reason']}" if queue["reason"] else ""
    return f"paused{by}{until}{reason}"
