"""`python -m jobtrack_client worker module:handlers`. The command `jobtrack worker` is this one, too."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from jobtrack_client.program_end import explain
from jobtrack_client.run_limits import MAX_RUN_SECONDS
from jobtrack_client.worker_command import work

_EXAMPLE = """
nightly.py:

    from jobtrack_client import job

    @job("nightly")
    def nightly(ctx):
        return {"folder": ctx.payload["folder"]}

in its folder: %(prog)s nightly --queue default
"""


class _Parser(argparse.ArgumentParser):
    """Explains a wrong argument in one sentence."""

    def error(self, message: str) -> NoReturn:
        explain(f"{message}. Try '{self.prog} --help'.")
        sys.exit(2)


def main(arguments: Sequence[str] | None = None, program: str = "python -m jobtrack_client") -> None:
    """Run the command with these arguments, or those of this process. Raises `SystemExit` where something is wrong."""
    parser = _Parser(prog=program, description="The client of Jobtrack.")
    commands = parser.add_subparsers(metavar="command", required=True)
    worker = commands.add_parser(
        "worker",
        help="run a worker of your own",
        description="Run a worker of your own, until Ctrl-C.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_options(worker)
    work(**vars(parser.parse_args(arguments)))


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "target",
        metavar="module[:name]",
        help="module: all of its functions that are marked with @job; module:name: a mapping of type to handler, a "
        "marked function, or a list of these; the current folder is searched first",
    )
    add("--queue", action="append", default=[], dest="queues", metavar="NAME",
        help="claim from this queue; may be repeated; default: every queue that the key may use")  # fmt: skip
    add("--concurrency", type=int, default=1, metavar="N", help="how many jobs run at a time; default: 1")
    add("--url", help="the address of the service; default: JOBTRACK_URL, else this machine at JOBTRACK_PORT")
    add("--name", help="what the service calls this worker; default: host:pid")
    add("--lease-seconds", type=int, default=30, metavar="N",
        help="after how long without a word of this worker a job is offered to another; default: 30")  # fmt: skip
    add("--grace-seconds", type=float, default=10.0, metavar="N",
        help="how long jobs have to end when the worker is stopped; default: 10")  # fmt: skip
    add("--max-run-seconds", type=float, default=MAX_RUN_SECONDS, metavar="N",
        help="how long a handler may run; default: 86400, a day")  # fmt: skip
    add("--strict-items", action="store_true", help="fail a job of which an item is refused; default: drop the item")
    add("--quiet", action=argparse.BooleanOptionalAction, help="print what happens or not; default: on a terminal")


if __name__ == "__main__":
    main()
