"""What is measured and how large: three sizes of the same benchmark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Mode: TypeAlias = Literal["quick", "default", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much there is of everything in one mode."""

    rounds: int
    pairs: int
    """Of a read's latency without the waits of row 5 and with them, one after the other."""
    seconds: float
    """Of each measurement of a round."""
    ids: int = 10_000
    waiters: int = 10_000
    polled_waiters: int = 1_000
    completions_per_second: int = 500
    files: int
    histories: tuple[int, ...]
    """Finished jobs in the tables, step by step; each is compared with `small_history`."""
    small_history: int = 10_000
    beating_jobs: int = 2_000
    quiet_seconds: float = 10.0
    """In which statements are counted while nothing changes: so long that the two by which they are counted hardly do.
    """
    steady_seconds: float = 3.0
    """The least length of what is measured at a low rate."""
    window_seconds: float = 3.0
    """Around a completion, in which its statements are counted."""
    held_seconds: float
    recovery_seconds: float = 60.0
    idle_seconds: float
    stale_tries: int = 20
    connections: tuple[int, ...] = ()
    """Of the plot of throughput and latency."""
    plotted_waiters: tuple[int, ...] = ()
    """Of the plot of wake latency."""


QUICK_ROWS: frozenset[int] = frozenset(range(1, 14)) - {11}
"""What fits into a minute: row 11 needs a history, rows 11 and 14 more services, row 15 the peers' environment."""

SCALES: dict[Mode, Scale] = {
    "quick": Scale(
        rounds=1,
        pairs=1,
        seconds=0.6,
        ids=2_000,
        waiters=200,
        polled_waiters=100,
        completions_per_second=100,
        files=5_000,
        histories=(5_000,),
        small_history=1_000,
        beating_jobs=500,
        held_seconds=1.0,
        recovery_seconds=0.0,
        quiet_seconds=1.0,
        steady_seconds=1.0,
        window_seconds=0.4,
        idle_seconds=2.0,
        stale_tries=0,
    ),
    "default": Scale(
        rounds=2,
        pairs=3,
        seconds=2.0,
        waiters=5_000,
        files=100_000,
        histories=(500_000,),
        held_seconds=10.0,
        idle_seconds=15.0,
        stale_tries=10,
        connections=(1, 64),
        plotted_waiters=(100, 1_000),
    ),
    "full": Scale(
        rounds=4,
        pairs=7,
        seconds=4.0,
        files=1_000_000,
        histories=(100_000, 1_000_000, 5_000_000),
        held_seconds=60.0,
        idle_seconds=30.0,
        connections=(1, 8, 64, 256),
        plotted_waiters=(100, 1_000, 10_000),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line."""

    mode: Mode
    rows: frozenset[int]
    scale: Scale
    directory: Path
    """Where databases are made: on a disk, or fsync costs nothing."""
    report: bool

    @property
    def judges(self) -> bool:
        """A quick run shows that everything runs; its numbers mean little."""
        return self.mode != "quick"

    def command(self, rows: object) -> str:
        """What repeats a row."""
        target, switch = ("bench-full", "") if self.mode == "full" else ("bench", "")
        if self.mode == "quick":
            switch = "--quick "
        return f'make {target} ARGS="{switch}--rows {rows}"'
