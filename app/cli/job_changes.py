"""`jobtrack jobs submit|cancel|rerun|delete`: changes, of one job or of many."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import Exit, clear_sentences, fail
from app.cli.job_reading import Labels, Queues, Statuses, Types, conditions, labels_of
from app.cli.tables import print_json
from app.cli.target import AsJson, Url, address, client

if TYPE_CHECKING:
    from collections.abc import Callable

INPUT_TAKES_AT_MOST = timedelta(seconds=30)
"""A job is due this much later when its input follows it; one that takes longer is cancelled."""

JobIds = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="The jobs' ids; none: those that match.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what matches, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before changing what matches.")]


def submit(
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="What kind of work it is.")],
    payload: Annotated[
        str | None, typer.Option("--payload", help="JSON, @FILE with JSON, or - for standard input.")
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="Where it waits; default: default.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", help="Higher comes first.")] = None,
    label: Labels = None,
    content: Annotated[
        Path | None, typer.Option("--input", help="A file that becomes its input; it is due 30 s later then.")
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job and print its id.

    Example: jobtrack jobs submit index_folder --payload '{"folder": "/data"}'
    """
    fields: dict[str, Any] = {
        "queue": queue,
        "priority": priority,
        "labels": labels_of(label),
        "payload": _json(payload),
    }
    given = {name: value for name, value in fields.items() if value not in (None, {})}
    if content is not None:
        # Nobody may take it before its input is there.
        given["scheduled_at"] = (datetime.now(UTC) + INPUT_TAKES_AT_MOST).isoformat()
    if content is not None and not content.is_file():
        fail(Exit.USAGE, f"{content} is no file.")
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        job = asked.create_job(kind, **given)
        if content is not None:
            try:
                with content.open("rb") as file:
                    asked.put_input(job["id"], iter(lambda: file.read(65_536), b""))
            except BaseException:
                asked.cancel(job["id"])
                raise
    print_json(job) if as_json else print(job["id"])


def _json(text: str | None) -> Any:
    if text is None:
        return None
    try:
        if text == "-":
            return json.load(sys.stdin)
        return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        fail(Exit.USAGE, f"--payload is no JSON, or cannot be read: {error}.")


def cancel(
    job_ids: JobIds = None,
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Cancel jobs by id, or all live ones that match.

    Example: jobtrack jobs cancel --queue imports --dry-run
    """
    wanted = conditions(status, kind, queue, label)
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        if job_ids:
            _each(job_ids, wanted, asked.cancel, as_json)
        else:
            _matching(asked.cancel_jobs, wanted, "Cancel", dry_run, yes, as_json)


def rerun(
    job_ids: JobIds = None,
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    only_failed_items: Annotated[bool, typer.Option("--only-failed-items", help="Only what failed.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Rerun jobs by id, or all ended ones that match.

    Example: jobtrack jobs rerun --status failed --type index_folder
    """
    wanted = conditions(status, kind, queue, label)
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        if job_ids:
            _each(job_ids, wanted, lambda job_id: asked.rerun(job_id, only_failed_items=only_failed_items), as_json)
        else:

            def call(**more: Any) -> Any:
                return asked.rerun_jobs(only_failed_items=only_failed_items, **more)

            _matching(call, wanted, "Rerun", dry_run, yes, as_json)


def delete(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The jobs' ids.")],
    url: Url = None,
) -> None:
    """Delete jobs that have ended, with all that belongs to them."""
    url = address(url)
    with clear_sentences(url), client(url) as asked:
        for job_id in job_ids:
            asked.delete_job(job_id)


def _each(job_ids: list[str], wanted: dict[str, Any], change: Callable[[str], Any], as_json: bool) -> None:
    if wanted:
        fail(Exit.USAGE, "Give ids or conditions, not both.")
    for job_id in job_ids:
        job = change(job_id)
        print_json(job) if as_json else print(job["id"], job["status"])


def _matching(
    call: Callable[..., Any], wanted: dict[str, Any], verb: str, dry_run: bool, yes: bool, as_json: bool
) -> None:
    if not wanted:
        fail(Exit.USAGE, "Give ids, or conditions such as --queue and --status.")
    if not dry_run and not yes:
        first = call(**wanted, dry_run=True)
        count = f"{first['matched']}{' or more' if first['next_cursor'] else ''}"
        if not sys.stdin.isatty():
            fail(Exit.USAGE, f"{count} jobs match: say --yes to change them, or --dry-run to count.")
        typer.confirm(f"{verb} {count} jobs?", abort=True)
    matched = changed = 0
    cursor: str | None = ""
    while cursor is not None:
        answer = call(**wanted, dry_run=dry_run, cursor=cursor or None)
        matched, changed, cursor = matched + answer["matched"], changed + answer["changed"], answer["next_cursor"]
    if as_json:
        print_json({"matched": matched, "changed": changed, "dry_run": dry_run})
    else:
        print(f"{matched} jobs match; {changed} changed.")
