"""Runs the rows that were asked for. One that fails loses the others nothing, and Ctrl-C keeps what was measured."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any, NoReturn, TypeAlias

from rich.console import Console

from bench import database, machine
from bench.load.generator import allow_many_files
from bench.options import Options
from bench.result import Line, Omission, Result
from bench.rows import (
    creates,
    crowd,
    heartbeats,
    history,
    idle,
    items,
    pages,
    peers,
    processes,
    reads,
    stale,
    waits,
    wakes,
    workers,
)
from bench.session import Session

Measure: TypeAlias = Callable[[Session], Iterator[Result | Line | Omission]]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are measured together, on an empty database where what was there before would matter."""

    rows: frozenset[int]
    measure: Measure
    fresh: bool = True


# The idle service comes first, and the reads after it on the same one: nothing has happened to it.
GROUPS = (
    Group(frozenset({13}), idle.measure),
    Group(frozenset({1, 2, 3, 4}), reads.measure, fresh=False),
    Group(frozenset({2}), stale.measure, fresh=False),
    Group(frozenset({5}), waits.measure),
    Group(frozenset({6}), wakes.measure),
    Group(frozenset({7}), crowd.measure),
    Group(frozenset({8}), creates.measure),
    Group(frozenset({9}), workers.measure),
    Group(frozenset({10}), items.measure),
    Group(frozenset({11}), history.measure),
    Group(frozenset({12}), heartbeats.measure),
    Group(frozenset({14}), processes.measure),
    Group(frozenset({16}), pages.measure),
    Group(frozenset({15}), peers.measure),
)


@dataclass(slots=True)
class Run:
    """What was measured, and what went wrong."""

    options: Options
    results: list[Result] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    omissions: list[Omission] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Rows, and what went wrong."""
    machine: dict[str, str] = field(default_factory=dict)
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    complete: bool = False

    def document(self) -> dict[str, Any]:
        """All of it, as JSON; the report is written from this."""
        scale = self.options.scale
        return {
            "began": self.began,
            "seconds": round(self.seconds),
            "mode": self.options.mode,
            "complete": self.complete,
            "machine": self.machine,
            "scale": {name: getattr(scale, name) for name in scale.__slots__},
            "results": [
                {**result.document(), "command": self.options.command(result.row)}
                for result in sorted(self.results, key=lambda result: result.row)
            ],
            "lines": [line.document() for line in self.lines],
            "omissions": [dataclasses.asdict(omission) for omission in self.omissions],
            "failures": self.failures,
        }


def measure(options: Options, console: Console) -> Run:
    """Measure; gives what there is, whatever happens."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    allow_many_files()
    run = Run(options)
    began = time.monotonic()
    try:
        with Session(options, console) as session:
            for group in GROUPS:
                rows = group.rows & options.rows
                if rows:
                    if group.fresh and options.mode != "quick":
                        session.renew()
                    _measure_group(run, session, group, rows)
        run.complete = True
    except KeyboardInterrupt:
        console.print("Interrupted: everything is stopped, and what was measured until now follows.")
    run.seconds = time.monotonic() - began
    return run


def _measure_group(run: Run, session: Session, group: Group, rows: frozenset[int]) -> None:
    try:
        if not run.machine:
            run.machine = machine.describe(_versions(session))
        for found in group.measure(session):
            if isinstance(found, Line):
                run.lines.append(found)
            elif isinstance(found, Omission):
                run.omissions.append(found)
                session.say(found.row, f"{found.name}: {found.why}")
            else:
                run.results.append(found)
    except Exception as error:  # noqa: BLE001 - told as the row's failure; the other rows are measured all the same
        why = f"{type(error).__name__}: {error}"
        run.failures.append((", ".join(map(str, sorted(rows))), why))
        session.say(run.failures[-1][0], f"failed: {why}")
        # What failed may have left the service in any state.
        session.renew()


def _versions(session: Session) -> str:
    url = session.service.database_url
    settings = [f"{name} {database.value(url, f'SHOW {name}')}" for name in ("fsync", "synchronous_commit")]
    version = str(database.value(url, "SHOW server_version"))
    return f"{version} ({', '.join(settings)})"


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt
