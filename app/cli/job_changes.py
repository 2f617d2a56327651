"""`jobtrack jobs submit|cancel|rerun|delete`: change one job or many."""

from __future__ import annotations

import contextlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.exits import Exit, clear_sentences, fail
from app.cli.job_reading import Labels, Queues, Statuses, Types, filter_conditions, labels_of
from app.cli.tables import print_json
from app.cli.target import AsJson, Url, address, client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

INPUT_UPLOAD_TIME = timedelta(seconds=30)
"""How much later a job is due when its input is uploaded after it; if the upload takes longer, the job is cancelled."""

MAX_PAYLOAD_BYTES = 16_777_216
"""More than any service takes: what reads a payload stops here, and the service names its own limit."""

JobIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="The ids of the jobs; without ids, the filters select them."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count the matching jobs without changing them.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def submit(
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="The type of the job; workers claim jobs by type.")],
    payload: Annotated[
        str | None,
        typer.Option("--payload", help="JSON for the worker, @FILE to read it from a file, or - for standard input."),
    ] = None,
    queue: Annotated[
        str | None, typer.Option("--queue", help="The queue of the job; default: the one named default.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="Jobs with a higher priority are claimed first.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="A label NAME=VALUE; may be repeated.")] = None,
    content: Annotated[
        Path | None,
        typer.Option("--input", help="A file to upload as the job's input; the job is then due 30 s later."),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job and print its id.

    Example: jobtrack jobs submit index_folder --payload '{"folder": "/data"}'
    """
    options = {"queue": queue, "priority": priority, "labels": labels_of(label), "payload": _json(payload)}
    fields = {name: value for name, value in options.items() if value not in (None, {})}
    if content is not None:
        # No worker may claim the job before its input is uploaded.
        fields["scheduled_at"] = (datetime.now(UTC) + INPUT_UPLOAD_TIME).isoformat()
    url = address(url)
    with clear_sentences(url), contextlib.ExitStack() as stack:
        file = None if content is None else stack.enter_context(_opened(content))
        api = stack.enter_context(client(url))
        job = api.create_job(kind, **fields)
        if file is not None:
            try:
                api.put_input(job["id"], iter(lambda: file.read(65_536), b""))
            except BaseException:
                api.cancel(job["id"])
                raise
    print_json(job) if as_json else print(job["id"])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open the file of --input; an error of reading it is one of usage, whenever it comes."""
    try:
        # Neither a folder nor a device, which may have no end.
        if not path.is_file():
            fail(Exit.USAGE, f"--input {path} is not a file.")
        with path.open("rb") as file:
            yield file
    except OSError as error:
        fail(Exit.USAGE, f"--input {path} cannot be read: {error.strerror or error}.")


def _json(text: str | None) -> Any:
    """Parse a payload by the rules of RFC 8259, which Python's parser extends by NaN and Infinity."""
    if text is None:
        return None
    try:
        value = json.loads(_content(text))
        json.dumps(value, allow_nan=False)
    except OSError as error:
        fail(Exit.USAGE, f"--payload cannot be read: {error.strerror or error}.")
    except UnicodeDecodeError as error:
        fail(Exit.USAGE, f"--payload is not text in UTF-8: {error.reason} at byte {error.start}.")
    except ValueError as error:
        fail(Exit.USAGE, f"--payload is not JSON: {error}.")
    except RecursionError:
        fail(Exit.USAGE, "--payload is nested too deeply.")
    return value


def _content(text: str) -> str | bytes:
    if text != "-" and not text.startswith("@"):
        return text
    with contextlib.ExitStack() as stack:
        file = sys.stdin.buffer if text == "-" else stack.enter_context(Path(text[1:]).open("rb"))
        # A device may have no end.
        content = file.read(MAX_PAYLOAD_BYTES + 1)
    if len(content) > MAX_PAYLOAD_BYTES:
        fail(Exit.USAGE, f"--payload is longer than {MAX_PAYLOAD_BYTES:,} bytes; --input uploads a file of any kind.")
    return content


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
    """Cancel jobs by id, or all live jobs that match the filters.

    Example: jobtrack jobs cancel --queue imports --dry-run
    """
    filters = filter_conditions(status, kind, queue, label)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if job_ids:
            _change_each(job_ids, filters, api.cancel, as_json)
        else:
            _change_matching(api.cancel_jobs, filters, "Cancel", dry_run, yes, as_json)


def rerun(
    job_ids: JobIds = None,
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    only_failed_items: Annotated[
        bool, typer.Option("--only-failed-items", help="Rerun only the failed items.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Rerun jobs by id, or all ended jobs that match the filters.

    Example: jobtrack jobs rerun --status failed --type index_folder
    """
    filters = filter_conditions(status, kind, queue, label)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if job_ids:
            _change_each(
                job_ids, filters, lambda job_id: api.rerun(job_id, only_failed_items=only_failed_items), as_json
            )
        else:

            def call(**options: Any) -> Any:
                return api.rerun_jobs(only_failed_items=only_failed_items, **options)

            _change_matching(call, filters, "Rerun", dry_run, yes, as_json)


def delete(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of the jobs.")],
    url: Url = None,
) -> None:
    """Delete jobs that have ended, with everything that belongs to them."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        for job_id in job_ids:
            api.delete_job(job_id)


def _change_each(job_ids: list[str], filters: dict[str, Any], change: Callable[[str], Any], as_json: bool) -> None:
    if filters:
        fail(Exit.USAGE, "Pass job ids or filters, not both.")
    for job_id in job_ids:
        job = change(job_id)
        print_json(job) if as_json else print(job["id"], job["status"])


def _change_matching(
    call: Callable[..., Any], filters: dict[str, Any], verb: str, dry_run: bool, yes: bool, as_json: bool
) -> None:
    if not filters:
        fail(Exit.USAGE, "Pass job ids, or filters such as --queue and --status.")
    if not dry_run and not yes:
        first = call(**filters, dry_run=True)
        count = f"{first['matched']}{' or more' if first['next_cursor'] else ''}"
        if not sys.stdin.isatty():
            fail(Exit.USAGE, f"{count} jobs match: pass --yes to change them, or --dry-run to count them.")
        typer.confirm(f"{verb} {count} jobs?", abort=True)
    matched = changed = 0
    cursor: str | None = ""
    while cursor is not None:
        answer = call(**filters, dry_run=dry_run, cursor=cursor or None)
        matched, changed, cursor = matched + answer["matched"], changed + answer["changed"], answer["next_cursor"]
    if as_json:
        print_json({"matched": matched, "changed": changed, "dry_run": dry_run})
    else:
        print(f"{matched} jobs match; {changed} changed.")
