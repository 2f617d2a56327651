"""`jobtrack jobs cancel|rerun|delete`: change one job or many."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import job_ids as ids
from app.cli.exits import Exit, clear_sentences, fail
from app.cli.filters import Collection, Labels, Queues, Statuses, Types, filter_conditions
from app.cli.tables import print_json
from app.cli.target import AsJson, Url, address, client
from app.cli.times import JobsSince

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobtrack_client import JobtrackClient

JobIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID", help="The ids of the jobs, or their last 8 characters; without ids, the filters select them."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count the matching jobs without changing them.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def cancel(
    job_ids: JobIds = None,
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    collection: Collection = None,
    since: JobsSince = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Cancel jobs by id, or all live jobs that match the filters.

    Example: jobtrack jobs cancel --queue imports --dry-run
    """
    filters = filter_conditions(status, kind, queue, label, collection, since)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if job_ids:
            _change_each(api, job_ids, filters, api.cancel, as_json)
        else:
            _change_matching(api.cancel_jobs, filters, "Cancel", dry_run, yes, as_json)


def rerun(
    job_ids: JobIds = None,
    status: Statuses = None,
    kind: Types = None,
    queue: Queues = None,
    label: Labels = None,
    collection: Collection = None,
    since: JobsSince = None,
    only_failed_items: Annotated[
        bool, typer.Option("--only-failed-items", help="Rerun only the failed items.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Rerun jobs by id, or all ended jobs that match the filters.

    Example: jobtrack jobs rerun --status failed --type index_folder --since 24h
    """
    filters = filter_conditions(status, kind, queue, label, collection, since)
    url = address(url)
    with clear_sentences(url), client(url) as api:
        if job_ids:

            def change(job_id: str) -> Any:
                return api.rerun(job_id, only_failed_items=only_failed_items)

            _change_each(api, job_ids, filters, change, as_json)
        else:

            def call(**options: Any) -> Any:
                return api.rerun_jobs(only_failed_items=only_failed_items, **options)

            _change_matching(call, filters, "Rerun", dry_run, yes, as_json)


def delete(
    job_ids: ids.JobIds,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete jobs that have ended, with everything that belongs to them. With --json, print each id that is gone."""
    url = address(url)
    with clear_sentences(url), client(url) as api:
        for job_id in ids.whole_ids(api, job_ids):
            api.delete_job(job_id)
            if as_json:
                print_json({"deleted": job_id})


def _change_each(
    api: JobtrackClient, job_ids: list[str], filters: dict[str, Any], change: Callable[[str], Any], as_json: bool
) -> None:
    if filters:
        fail(Exit.USAGE, "Pass job ids or filters, not both.")
    for job_id in ids.whole_ids(api, job_ids):
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
