"""`jobtrack demo`: submit, run and watch one real job."""

from __future__ import annotations

import contextlib
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from app.cli.exits import Exit, clear_sentences, exit_code, fail, needing
from app.cli.target import AsJson, Url, address, api_key, data_dir

if TYPE_CHECKING:
    from app.demo import DemoEvent
    from jobtrack_client import Job

GRACE_SECONDS = 2.0
"""In which the demo cancels its job when it is to end: long enough for that, short enough for a service that stops."""


def demo(
    path: Annotated[
        Path | None,
        typer.Argument(help="The folder to index; default: this Python's packages, with three broken files."),
    ] = None,
    max_files: Annotated[int | None, typer.Option("--max-files", min=1, help="Index at most this many files.")] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Work on reruns of the job as well, until Ctrl-C or SIGTERM.")
    ] = False,
    with_input: Annotated[bool, typer.Option("--with-input", hidden=True, help="End with standard input.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Run an example job that indexes a folder of files.

    The command submits and watches the job as a client, and runs it as a worker.
    """
    with needing("demo", "The demo"):
        from app.demo import run_demo, work_on_reruns
    import asyncio
    import signal
    import threading

    from app.cli.job_waits import outcome
    from app.cli.progress import Board

    url = address(url)
    key = api_key(url)
    with clear_sentences(url), Board(quiet=as_json) as board:

        def on_event(event: DemoEvent) -> None:
            if event.kind == "submitted" and not as_json:
                print(f"Submitted job {event.job_id}", flush=True)
            board.show([event.job])

        # SIGTERM is handled like Ctrl-C, which cancels the job.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        if with_input:
            threading.Thread(target=_end_with_input, daemon=True).start()
        try:
            # The index lies beside the database.
            running = run_demo(url, key, path, data_dir() / "demo", on_event=on_event, max_files=max_files)
            job = cast("Job", asyncio.run(running))
        except KeyboardInterrupt:
            fail(Exit.INTERRUPTED, "The demo was interrupted, and its job was cancelled.")
        except NotADirectoryError as error:
            fail(Exit.USAGE, f"{error}.")
        except OSError as error:
            fail(Exit.START_UP, f"The demo cannot keep its index in {data_dir() / 'demo'}: {error.strerror or error}.")
    print(json.dumps(job) if as_json else f"{outcome(job)}\n\n{_addresses(url, key, job)}", flush=True)
    if stay:
        with contextlib.suppress(KeyboardInterrupt), clear_sentences(url):
            asyncio.run(work_on_reruns(url, key, path, data_dir() / "demo"))
    raise typer.Exit(exit_code([job]))


def _end_with_input() -> None:
    """End this program when the service that started it has gone, however it did: its end of the pipe goes with it."""
    import os
    import signal
    import sys
    import time

    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    # Whom it would tell that its job is cancelled may never come back.
    time.sleep(GRACE_SECONDS)
    os._exit(Exit.INTERRUPTED)


def _addresses(url: str, key: str, job: Job) -> str:
    from jobtrack_client.discovery import KEY_FILE

    job_id = job["id"]
    # The API key itself would end up in the history of the shell that the command is pasted into.
    key_file = data_dir() / KEY_FILE
    try:
        is_stored = key_file.read_text().strip() == key
    except (OSError, UnicodeDecodeError):
        is_stored = False
    key_text = f"$(cat {shlex.quote(str(key_file))})" if is_stored else "$JOBTRACK_API_KEY"
    curl = f'curl -H "Authorization: Bearer {key_text}"'
    failed = f"Broken:     jobtrack jobs rerun {job_id} --only-failed-items\n" if job["counts"]["failed"] else ""
    return (
        f"The job:    {curl} {url}/v1/jobs/{job_id}\n"
        f"Its files:  {curl} '{url}/v1/jobs/{job_id}/items?limit=20'\n"
        f"{failed}"
        # The last line, because it is the one to press.
        f"Open        {url}/ui/jobs/{job_id}"
    )
