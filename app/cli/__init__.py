"""The `jobtrack` command, with one module for each group of commands.

The modules import little at the top and the rest inside the command that needs it, so that the client commands work
without the server installed, and `--help` does not wait for its imports.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Final, cast

import typer

from app.cli import (
    backup,
    config,
    database,
    demo,
    doctor,
    health,
    jobs,
    key_commands,
    open_pages,
    openapi,
    queues,
    serve,
    worker,
    workers,
)
from app.cli.choices import shown
from app.cli.exits import Exit, explain

app = typer.Typer(
    name="jobtrack",
    help="Track background jobs: run the service, or talk to a running one.",
    epilog="Exit codes: 0 success; 1 a job did not succeed; 2 wrong usage or input; 3 could not start; 4 not found; "
    "5 the API key is missing, unknown or lacks the scope; 6 no response from the service; 7 the service refused the "
    "call; 8 a job was still running at the timeout.",
    no_args_is_help=True,
    # A traceback with the locals of every frame would print API keys; plain help avoids the import of rich.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("migrate")(database.migrate)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("psql", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(backup.psql)
app.command("doctor")(doctor.doctor)
app.command("worker", add_help_option=False, context_settings=worker.SETTINGS)(worker.worker)
app.command("demo")(demo.demo)
app.command("health")(health.health)
app.command("open")(open_pages.open_pages)
app.command("openapi")(openapi.openapi)
app.add_typer(jobs.app, name="jobs")
app.add_typer(queues.app, name="queues")
app.add_typer(workers.app, name="workers")
app.add_typer(key_commands.app, name="keys")
app.add_typer(config.app, name="config")


def _print_version(requested: bool) -> None:
    if not requested:
        return
    from app.version import running_version

    print(f"jobtrack {running_version() or '(run from its sources, not installed)'}")
    raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


# Click's class in the versions of typer that are built on click, and typer's own in those that are not.
_UsageError: Final = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What is printed may hold anything, and the terminal may have any encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="jobtrack", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # As in `jobtrack jobs list | head`: the reader is gone, and flushing the buffer at exit would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except typer.Abort:
        explain("Nothing was done.")
        code = 1
    except _UsageError as error:
        code = _explain_usage(error)
    except UnicodeEncodeError as error:
        # An argument with other bytes than UTF-8, or half a surrogate pair in JSON: neither can be sent.
        where = slice(max(0, error.start - 20), error.end + 20)
        explain(f"{shown(error.object[where])} is not text in UTF-8.")
        code = Exit.USAGE
    sys.exit(code)


def _explain_usage(error: typer.BadParameter) -> int:
    """Print what is wrong with the arguments on one line, like every other error; without any arguments, the help."""
    if error.ctx is None or type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        message = error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        explain(f"{message}{end} Try '{error.ctx.command_path} --help'.")
    return error.exit_code
