"""`jobtrack demo`: one real job, submitted, worked and watched."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from app.cli.exits import Exit, clear_sentences, fail, needing
from app.cli.target import KEY_FILE, AsJson, Url, address, api_key, data_dir

if TYPE_CHECKING:
    from app.demo import DemoEvent
    from jobtrack_client import Job


def demo(
    path: Annotated[
        Path | None, typer.Argument(help="The folder to index; default: the installed packages of this Python.")
    ] = None,
    max_files: Annotated[int | None, typer.Option("--max-files", min=1, help="Index no more than so many.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Index a folder of files as one job of the service, to see what a job looks like from both sides."""
    with needing("demo", "The demo"):
        from app.demo import default_path, run_demo
    import asyncio
    import signal

    from app.cli.jobs import exit_code, outcome
    from app.cli.progress import Board

    url = address(url)
    key = api_key(url)
    with clear_sentences(url), Board(quiet=as_json) as board:

        def on_event(event: DemoEvent) -> None:
            if event.kind == "submitted" and not as_json:
                print(f"Submitted job {event.job_id}", flush=True)
            board.show([event.job])

        # SIGTERM takes the way of Ctrl-C, which cancels the job.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        folder = path or default_path()
        try:
            # Beside the database, so that a second run skips what the first has seen.
            running = run_demo(url, key, folder, data_dir() / "demo", on_event=on_event, max_files=max_files)
            job = cast("Job", asyncio.run(running))
        except KeyboardInterrupt:
            fail(Exit.INTERRUPTED, "The demo was interrupted, and its job cancelled.")
        except NotADirectoryError as error:
            fail(Exit.USAGE, f"{error}.")
        except OSError as error:
            fail(Exit.START_UP, f"The demo cannot keep its index in {data_dir() / 'demo'}: {error.strerror or error}.")
    print(json.dumps(job) if as_json else f"{outcome(job)}\n\n{_addresses(url, key, job['id'])}", flush=True)
    raise typer.Exit(exit_code([job]))


def _addresses(url: str, key: str, job_id: str) -> str:
    # The key itself would end up in the history of the shell that the line is pasted into.
    kept = data_dir() / KEY_FILE
    try:
        found = kept.read_text().strip() == key
    except (OSError, UnicodeDecodeError):
        found = False
    shown = f"$(cat {shlex.quote(str(kept))})" if found else "$JOBTRACK_API_KEY"
    ask = f'curl -H "Authorization: Bearer {shown}"'
    return f"The job:    {ask} {url}/v1/jobs/{job_id}\nIts files:  {ask} '{url}/v1/jobs/{job_id}/items?limit=20'"
