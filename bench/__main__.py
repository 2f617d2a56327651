"""The command line of the benchmark."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench.figures import ROWS
from bench.machine import in_memory
from bench.options import QUICK_ROWS, SCALES, Mode, Options

OUT = Path(__file__).parent / "out"
_LOG_WIDTH = 160

_ABOUT = """\
Measure the service beside small baselines, in one run on this machine.

It starts `jobtrack serve` as a user would (one process, its own PostgreSQL, fsync on) on an empty database in a
temporary folder, drives it over loopback, and prints a table. Everything it starts ends with it, on Ctrl-C too, which
keeps what was measured until then. All numbers go to bench/out/ as JSON.
"""


def main() -> int:
    parser = _parser()
    given = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        # A log has no width; what rich assumes of one breaks every cell.
        console.width = _LOG_WIDTH
    if given.list_rows:
        for number, row in ROWS.items():
            console.print(f"{number:>3}  {row.work}\n     {row.figure}", highlight=False)
        return 0
    options = _options(parser, given)
    if given.report and importlib.util.find_spec("matplotlib") is None:
        parser.error("--report draws with matplotlib, which is not installed here: `make .venv/.plots` does that")
    if in_memory(options.directory):
        console.print("[yellow]The database lies in memory, where fsync costs nothing: writes look too fast.[/yellow]")
    # Here, for `--help` needs none of it.
    from bench.run import measure  # noqa: PLC0415
    from bench.terminal import print_run  # noqa: PLC0415

    run = measure(options, console)
    print_run(run, console)
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{run.began.replace(':', '').split('+')[0]}.json"
    path.write_text(json.dumps(run.document(), indent=1) + "\n")
    console.print(f"All numbers: {path.relative_to(OUT.parents[1])}", highlight=False)
    if given.report:
        from bench.report import write_report  # noqa: PLC0415

        for written in write_report(run):
            console.print(f"Written: {written.relative_to(OUT.parents[1])}", highlight=False)
    return 0 if run.complete and not run.failures else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="at most a minute: shows that all runs, judges nothing")
    size.add_argument("--full", action="store_true", help="at the full size of the figures; takes most of an hour")
    parser.add_argument("--rows", metavar="1,2,8", default="", help="only these rows; --list says what they are")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, of which the median is shown")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of each measurement of a round")
    parser.add_argument("--report", action="store_true", help="write docs/performance.md and its plots as well")
    parser.add_argument("--dir", type=Path, metavar="FOLDER", help="where to put the databases; default: /var/tmp")
    parser.add_argument("--list", dest="list_rows", action="store_true", help="list the rows and what is asked of them")
    return parser


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Options:
    mode: Mode = "quick" if given.quick else "full" if given.full else "default"
    scale = SCALES[mode]
    if given.rounds is not None:
        scale = dataclasses.replace(scale, rounds=max(given.rounds, 1))
    if given.seconds is not None:
        scale = dataclasses.replace(scale, seconds=max(given.seconds, 0.1))
    rows = QUICK_ROWS if mode == "quick" else frozenset(ROWS)
    try:
        if given.rows:
            rows = frozenset(int(number) for number in given.rows.split(","))
    except ValueError:
        parser.error(f"--rows takes numbers with commas between them, not {given.rows!r}")
    if not rows <= ROWS.keys():
        parser.error(f"there are rows 1 to {max(ROWS)}")
    directory: Path = given.dir or _disk()
    if not directory.is_dir():
        parser.error(f"{directory} is no folder")
    return Options(mode=mode, rows=rows, scale=scale, directory=directory.resolve(), report=given.report)


def _disk() -> Path:
    """A temporary folder that survives a restart, and so is on a disk; /tmp is memory on many systems."""
    lasting = Path("/var/tmp")  # noqa: S108 - a folder of our own is made in it
    return lasting if os.access(lasting, os.W_OK) else Path(tempfile.gettempdir())


if __name__ == "__main__":
    sys.exit(main())
