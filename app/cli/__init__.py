"""The command `jobtrack`: one module a group of commands.

The modules import little at the top and the rest inside the command that needs it: the client commands work where the
server is not installed, and `--help` does not wait for it.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from app.cli import config, database, demo, health, jobs, key_commands, openapi, queues, serve

app = typer.Typer(
    name="jobtrack",
    help="Track background jobs: run the service, or ask one about its jobs.",
    epilog="Exit codes: 0 done; 1 a job did not succeed; 2 wrong usage; 3 could not start; 4 no such job; "
    "5 no key, a wrong one or one without the scope; 6 no answer from the service; 7 the service refused; "
    "8 still running when the timeout was over.",
    no_args_is_help=True,
    # A traceback with the locals of every frame would print keys; plain help costs no import of rich.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("migrate")(database.migrate)
app.command("demo")(demo.demo)
app.command("health")(health.health)
app.command("openapi")(openapi.openapi)
app.add_typer(jobs.app, name="jobs")
app.add_typer(queues.app, name="queues")
app.add_typer(key_commands.app, name="keys")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"jobtrack {version('jobtrack')}")
    except PackageNotFoundError:
        print("jobtrack (run from its sources, not installed)")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command that was typed."""
    try:
        app(prog_name="jobtrack")
        sys.stdout.flush()
    except BrokenPipeError:
        # `jobtrack jobs list | head`: nobody reads on. What is still buffered would fail once more at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
