"""`jobtrack queues`: show queues and change their rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from app.cli import cells, times
from app.cli.exits import Exit, clear_sentences, fail
from app.cli.pages import rows_of
from app.cli.tables import Cell, Column, print_fields, print_json, print_rows
from app.cli.target import AsJson, Url, address, client
from app.cli.times import span

RULES = ("paused", "reason", "until", "concurrency_limit", "retry", "expected_seconds", "retention")
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
def pause(
    name: Name,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for whoever sees that the queue waits.")] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--until", parser=times.time, metavar="TIME", help="Resume by itself at this time."),
    ] = None,
    length: Annotated[
        timedelta | None,
        typer.Option(
            "--for", parser=times.duration, metavar="DURATION", help="Resume by itself after 90s, 30m or 24h."
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stop handing out jobs of a queue. Jobs that are claimed already continue.

    Example: jobtrack queues pause docs --reason "the index is being rebuilt" --for 1h
    """
    if until is not None and length is not None:
        raise typer.BadParameter("--until and --for exclude each other", param_hint="--for")
    if length is not None:
        until = times.after(length)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        queue = api.pause_queue(name, reason=reason, until=times.text(until))
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
    retention_failed_seconds: Annotated[
        int | None,
        typer.Option(
            "--retention-failed-seconds",
            metavar="SECONDS",
            min=0,
            help="The same for failed and expired jobs; 0: forever.",
        ),
    ] = None,
    default_retention: Annotated[
        bool, typer.Option("--default-retention", help="Keep ended jobs as long as the service does by default.")
    ] = False,
    expected_seconds: Annotated[
        int | None,
        typer.Option("--expected-seconds", metavar="SECONDS", min=0, help="After which a job is overdue; 0: never."),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set rules of a queue. Rules that are not named stay as they are.

    Example: jobtrack queues set imports --concurrency-limit 4
    """
    if default_retention and (retention_seconds, retention_failed_seconds) != (None, None):
        fail(Exit.USAGE, "Pass --default-retention or how long jobs are kept, not both.")
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
        if default_retention:
            rules["retention"] = None
        if expected_seconds is not None:
            rules["expected_seconds"] = expected_seconds or None
        queue = api.put_queue(name, **rules)
    _show(queue, as_json)


_STATES = ("pending", "retrying", "dispatched", "running", "cancelling")
_COLUMNS = (
    Column("name", rank=0),
    Column("state", rank=0, wide=False),
    *(Column(state, only="pipe") for state in _STATES),
    Column("due", only="pipe"),
    Column("scheduled", only="pipe"),
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
        queue["due"],
        queue["scheduled"],
        _depth(queue),
        Cell(queue["concurrency_limit"], _limit(queue)),
        cells.seconds(queue["oldest_waiting_seconds"]),
        Cell(rates["created_per_minute"], f"{rates['created_per_minute']}/min"),
        Cell(rates["ended_per_minute"], f"{rates['ended_per_minute']}/min"),
    )


def _state(queue: Any) -> Cell:
    return Cell("paused", "‖ paused", "yellow") if queue["paused"] else Cell("open", "● open", "green")


def _pause(queue: Any) -> str | None:
    """Write by whom a queue is paused, until when and why; None where nothing is known of it, or it is open."""
    parts = (
        f"by {queue['paused_by']}" if queue["paused_by"] else "",
        f"until {times.full(queue['until'])}" if queue["until"] else "",
        queue["reason"] or "",
    )
    return ", ".join(filter(None, parts)) or None


def _depth(queue: Any) -> str:
    """Write how many jobs there are: of those that nobody holds, which could start and which start later."""
    counts = {"due": queue["due"], "scheduled": queue["scheduled"]}
    counts |= {state: queue["depth"][state] for state in _STATES[2:]}
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def _limit(queue: Any) -> str:
    limit = queue["concurrency_limit"]
    return "none" if limit is None else f"{queue['held']} of {limit}"


def _show(queue: Any, as_json: bool) -> None:
    if as_json:
        print_json(queue)
        return
    retry, retention, rates = queue["retry"], queue["retention"], queue["rates"]
    print_fields(
        {
            "name": queue["name"],
            "state": _state(queue),
            "paused": _pause(queue),
            "limit": _limit(queue),
            "jobs": _depth(queue),
            "oldest": cells.seconds(queue["oldest_waiting_seconds"]),
            "created": f"{rates['created_per_minute']} a minute",
            "ended": f"{rates['ended_per_minute']} a minute",
            "retry": retry and ", ".join(f"{name} {value:g}" for name, value in retry.items()),
            "expected": queue["expected_seconds"] and span(queue["expected_seconds"]),
            "kept": retention and _kept(retention["seconds"]),
            "kept failed": retention and _kept(retention["failed_seconds"]),
        }
    )


def _kept(seconds: int | None) -> Cell | None:
    """Write how long ended jobs are kept; None where the service's default holds."""
    return None if seconds is None else Cell(seconds, span(seconds) if seconds else "for ever")
