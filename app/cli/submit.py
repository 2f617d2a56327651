"""`jobtrack jobs submit`: create a job, with its input and its items, and wait for it."""

from __future__ import annotations

import contextlib
import math
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import times
from app.cli.choices import number, seconds
from app.cli.contents import items_of, json_of, opened
from app.cli.exits import Exit, clear_sentences, explain, fail
from app.cli.filters import labels_of
from app.cli.job_waits import Timeout, exit_code, outcome, wait_for
from app.cli.tables import print_json
from app.cli.target import AsJson, Url, address, client

if TYPE_CHECKING:
    from jobtrack_client import Job, JobtrackClient

INPUT_UPLOAD_TIME = timedelta(seconds=30)
"""How much later a job is due when its input is uploaded after it; if the upload takes longer, the job is cancelled."""


def submit(
    kind: Annotated[str, typer.Argument(metavar="TYPE", help="The type of the job; workers claim jobs by type.")],
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            metavar="JSON",
            help="JSON for the worker, @FILE to read it from a file, or - for standard input.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option("--queue", metavar="NAME", help="The queue of the job; default: the one named default."),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option("--priority", metavar="NUMBER", help="Jobs with a higher priority are claimed first; default: 0."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label of the job; may be repeated.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", metavar="NAME", help="The collection that the job belongs to.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="The external system that runs the job: no worker can claim it but by its id.",
        ),
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", metavar="KEY", help="The key of a file to work on; may be repeated.")
    ] = None,
    items: Annotated[
        str | None,
        typer.Option(
            "--items",
            metavar="SOURCE",
            help="@FILE, or - for standard input, with the files to work on: a key a line, or JSON objects with key, "
            "name, uri, size_bytes, one a line or as a list.",
        ),
    ] = None,
    content: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="A file to upload as the job's input; the job is due 30 s later or more."
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option("--at", parser=times.time, metavar="TIME", help="Not before this ISO time (scheduled_at)."),
    ] = None,
    delay: Annotated[
        timedelta | None,
        typer.Option(
            "--in", parser=times.duration, metavar="DURATION", help="Not before 90s, 30m, 24h or 7d from now."
        ),
    ] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option("--expires-at", parser=times.time, metavar="TIME", help="It expires unless it has ended by then."),
    ] = None,
    expires_in: Annotated[
        timedelta | None,
        typer.Option("--expires-in", parser=times.duration, metavar="DURATION", help="The same, counted from now."),
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(
            "--max-attempts", metavar="NUMBER", help="How often it is tried before it has failed; default: 3."
        ),
    ] = None,
    expected: Annotated[
        timedelta | None,
        typer.Option(
            "--expected", parser=times.duration, metavar="DURATION", help="It is overdue when an attempt takes longer."
        ),
    ] = None,
    retry_delay: Annotated[
        float | None,
        typer.Option(
            "--retry-delay", parser=seconds, metavar="SECONDS", help="Seconds before the second attempt; default: 1."
        ),
    ] = None,
    retry_factor: Annotated[
        float | None,
        typer.Option(
            "--retry-factor", parser=number, metavar="NUMBER", help="How much longer each later delay is; default: 2."
        ),
    ] = None,
    retry_max_delay: Annotated[
        float | None,
        typer.Option(
            "--retry-max-delay", parser=seconds, metavar="SECONDS", help="Seconds of the longest delay; default: 600."
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="KEY", help="Repeated calls with this key create one job."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the job has ended, and exit as `jobtrack jobs wait` does.")
    ] = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job and print its id.

    Example: jobtrack jobs submit index_folder --payload '{"folder": "/data"}' --wait
    """
    if timeout is not None and not wait:
        fail(Exit.USAGE, "--timeout is for --wait.")
    if idempotency_key is not None and (delay or expires_in or content):
        fail(Exit.USAGE, "--idempotency-key needs the same job each time: --in, --expires-in and --input change it.")
    retry = {"delay_seconds": retry_delay, "factor": retry_factor, "max_delay_seconds": retry_max_delay}
    options = {
        "queue": queue,
        "priority": priority,
        "labels": labels_of(label),
        "collection": collection,
        "engine": engine,
        "max_attempts": max_attempts,
        "expected_seconds": None if expected is None else math.ceil(expected.total_seconds()),
        "retry": {name: value for name, value in retry.items() if value is not None},
        "items": [*({"key": key} for key in item or ()), *_items(payload, items)],
        "payload": None if payload is None else json_of("--payload", payload),
        "scheduled_at": _scheduled_at(at, delay, has_input=content is not None),
        "expires_at": times.text(_time("--expires-at", expires_at, "--expires-in", expires_in)),
    }
    fields = {name: value for name, value in options.items() if value not in (None, {}, [])}
    url = address(url)
    with clear_sentences(url), client(url) as api:
        job = _created(api, kind, fields, content, idempotency_key)
        if wait:
            raise typer.Exit(_waited(api, job["id"], timeout, as_json))
    print_json(job) if as_json else print(job["id"])


def _items(payload: str | None, items: str | None) -> list[dict[str, Any]]:
    if payload == items == "-":
        fail(Exit.USAGE, "--payload and --items cannot both be read from standard input.")
    return [] if items is None else items_of("--items", items)


def _time(absolute: str, moment: datetime | None, relative: str, delay: timedelta | None) -> datetime | None:
    if moment is not None and delay is not None:
        fail(Exit.USAGE, f"Pass {absolute} or {relative}, not both.")
    return moment if delay is None else times.after(delay)


def _scheduled_at(at: datetime | None, delay: timedelta | None, *, has_input: bool) -> str | None:
    moment = _time("--at", at, "--in", delay)
    if has_input:
        # No worker may claim the job before its input is uploaded.
        uploaded = times.after(INPUT_UPLOAD_TIME)
        moment = uploaded if moment is None else max(moment, uploaded)
    return times.text(moment)


def _created(
    api: JobtrackClient, kind: str, fields: dict[str, Any], content: Path | None, idempotency_key: str | None
) -> Job:
    with contextlib.ExitStack() as stack:
        file = None if content is None else stack.enter_context(opened("--input", content))
        job = api.create_job(kind, idempotency_key=idempotency_key, **fields)
        if file is not None:
            try:
                api.put_input(job["id"], iter(lambda: file.read(65_536), b""))
            except BaseException:
                api.cancel(job["id"])
                raise
    return job


def _waited(api: JobtrackClient, job_id: str, timeout: float | None, as_json: bool) -> Exit:
    if not as_json:
        # Whoever stops the wait still wants to know what goes on.
        explain(f"Submitted {job_id}.")
    waited = wait_for(api, [job_id], timeout, quiet=as_json)
    if waited.jobs:
        print_json(api.get_job(job_id)) if as_json else print(outcome(waited.jobs[0]))
    return exit_code(waited)
