"""What all rows share: the options, the service under measurement, the rounds, and a word on how it goes."""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console

from bench.child import Child
from bench.load.throughput import Throughput
from bench.meter import Meter
from bench.options import Options
from bench.result import shown
from bench.service import Service
from bench.store import Store

T = TypeVar("T")
Costs = dict[str, list[float]]


class Session:
    """One run. Everything it starts ends with it, however it ends."""

    def __init__(self, options: Options, console: Console) -> None:
        self.options = options
        self.scale = options.scale
        self.console = console
        self._stack = contextlib.ExitStack()
        self._began = time.monotonic()
        self._service: Service | None = None
        self._store: Store | None = None
        self._folders = 0

    def __enter__(self) -> Self:
        made = tempfile.TemporaryDirectory(prefix="jobtrack-bench-", dir=self.options.directory)
        self._folder = Path(self._stack.enter_context(made))
        # As root the database runs as another user, who must get through to its folder.
        self._folder.chmod(0o755)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._service:
            self._service.stop()
        self._stack.__exit__(kind, error, trace)

    def say(self, row: object, text: str) -> None:
        """Tell what was just done."""
        moment = f"{time.monotonic() - self._began:6.0f} s  row {row:<4}"
        self.console.print(f"{moment} {text}", style="dim", markup=False, highlight=False)

    def folder(self, name: str) -> Path:
        """A new folder of this run."""
        self._folders += 1
        folder = self._folder / f"{self._folders}-{name}"
        folder.mkdir(mode=0o755)
        return folder

    @property
    def service(self) -> Service:
        """The service under measurement; the first who asks starts it."""
        if self._service is None:
            self._service = Service(self.folder("service"))
        return self._service

    @property
    def store(self) -> Store:
        """The tables of that service."""
        if self._store is None:
            self._store = Store(self.service.database_url)
        return self._store

    @property
    def meter(self) -> Meter:
        """The counters of that service, as its process is now."""
        return Meter(self.service)

    def renew(self) -> None:
        """End the service; whoever asks next gets one with an empty database."""
        if self._service is not None:
            self._service.stop()
        self._service = self._store = None

    @contextlib.contextmanager
    def baseline(self, name: str, *args: str) -> Iterator[Child]:
        """Run one of the baselines for the length of the block."""
        with self.program([sys.executable, "-m", f"bench.baselines.{name}", *args], name) as child:
            yield child

    def program(self, command: Sequence[str], name: str, *, obeys: bool = False) -> Child:
        """Start a program that ends with the block which it is the context of."""
        return Child(command, log=self.folder(name) / "log", obeys=obeys)

    def rounds(self, row: object, cases: Mapping[str, Callable[[], float]], unit: str) -> dict[str, list[float]]:
        """Measure all cases in turn, round by round, every other round backwards: a machine that slows down or speeds
        up meanwhile does so for all of them.
        """
        found: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(self.scale.rounds):
            order = list(cases.items())
            for name, measure in order if number % 2 == 0 else reversed(order):
                found[name].append(measure())
                self.say(row, f"round {number + 1}/{self.scale.rounds}  {name}: {shown(found[name][-1])} {unit}")
        return found


def note_each(costs: Costs, each: Mapping[str, float], driven: Throughput | None = None) -> None:
    """Add a round's costs of one operation, the generator's own among them, which has the cores together with it."""
    for name, amount in each.items():
        costs.setdefault(name, []).append(amount)
    if driven:
        costs.setdefault("generator µs each", []).append(driven.cpu / driven.answers * 1_000_000)


def medians(costs: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of each cost's rounds."""
    return {name: statistics.median(rounds) for name, rounds in costs.items()}
