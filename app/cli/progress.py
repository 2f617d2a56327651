"""The progress of jobs on standard error: bars on a terminal, elsewhere a line for each new stage."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

from app.cli.printable import printable

if TYPE_CHECKING:
    from jobtrack_client import Job


class Board:
    """A context manager that shows the progress of jobs; with `quiet` it shows nothing, for output in JSON."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[eta]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._last: dict[str, tuple[str, str | None]] = {}

    def show(self, jobs: Iterable[Job]) -> None:
        """Show the current state of the jobs."""
        for job in jobs:
            if not self._console.is_terminal:
                self._print_change(job)
                continue
            bar = self._bars.get(job["id"])
            if bar is None:
                bar = self._bars[job["id"]] = self._progress.add_task("", total=100, counts="", eta="")
            self._progress.update(
                bar, description=_status(job), completed=job["progress"], counts=counts(job), eta=eta(job)
            )

    def _print_change(self, job: Job) -> None:
        now = (job["status"], job["stage"])
        if self._last.get(job["id"]) != now:
            self._last[job["id"]] = now
            parts = (job["id"], _status(job), f"{job['progress']:.0f} %", counts(job), eta(job))
            # Lines are not wrapped, because they usually go to a log.
            self._console.print(", ".join(part for part in parts if part), soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def counts(job: Job) -> str:
    """Describe the number of items; empty for a job without items."""
    numbers = job["counts"]
    if not numbers["total"]:
        return ""
    done = sum(numbers[kind] for kind in ("processed", "failed", "skipped"))
    rest = [f"{numbers[kind]:,} {kind}" for kind in ("failed", "skipped") if numbers[kind]]
    return ", ".join((f"{done:,} of {numbers['total']:,}", *rest))


def eta(job: Job) -> str:
    """Describe the estimated time left; empty if the service has no estimate."""
    estimate = job["eta"]
    if estimate is None or job["completed_at"]:
        return ""
    return f"about {_duration(estimate['seconds'])} left"


def _status(job: Job) -> str:
    stage = "" if job["completed_at"] or not job["stage"] else f" {job['stage']}"
    return printable(f"{job['status']}{stage}")


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
