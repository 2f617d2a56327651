"""`jobtrack worker`: run a worker of the user's own handlers."""

from __future__ import annotations

from typing import Annotated

import typer

SETTINGS = {"ignore_unknown_options": True}


def worker(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="MODULE[:NAME] [OPTIONS]")] = None,
) -> None:
    """Run a worker of your own: the functions of a module that are marked with @job.

    `jobtrack worker --help` lists the options. `python -m jobtrack_client worker` is the same command, where the client
    alone is installed.
    """
    # It reads its options itself, so that there is one list of them.
    from jobtrack_client.__main__ import main

    main(["worker", *(arguments or [])], program="jobtrack")
