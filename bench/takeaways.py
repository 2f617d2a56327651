"""What a user should take from the page: its first lines, written from the figures and never by hand."""

# ruff: noqa: RUF001
# The multiplication sign is meant.

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from bench.result import Result, shown

JOBTRACK = "Jobtrack"
MISSING = "–"
_BESIDE = {
    "Enqueue one by one: processor a job": "enqueue",
    "Enqueue in batches of 1,000: processor a job": "enqueue in batches",
    "Work off: processor a job": "work off",
    "From a job's end to who waits for it, p50": "learn of an end",
}
"""Figures of row 15, of which the least is the best, in the words of the line."""


class Figures:
    """The results of all rows, by row and the beginning of their names; a figure that is not there reads as a dash."""

    def __init__(self, results: Mapping[int, Sequence[Result]]) -> None:
        self._results = results

    def find(self, row: int, name: str) -> Result | None:
        return next((result for result in self._results.get(row, ()) if result.name.startswith(name)), None)

    def value(self, row: int, name: str) -> str:
        found = self.find(row, name)
        return shown(found.value) if found else MISSING

    def beside(self, row: int, name: str, baseline: str) -> str:
        """The median of what was measured beside it."""
        found = self.find(row, name)
        return shown(statistics.median(found.beside[baseline])) if found and baseline in found.beside else MISSING

    def ratio(self, row: int, name: str, baseline: str) -> str:
        found = self.find(row, name)
        return shown(found.ratio(baseline) or 0) if found and baseline in found.beside else MISSING

    def all(self) -> Iterator[Result]:
        for results in self._results.values():
            yield from results


def takeaways(results: Mapping[int, Sequence[Result]]) -> list[str]:
    """Eight lines of a list, so that they and the title are the first ten of the page."""
    figures = Figures(results)
    return [
        f"- {line}"
        for line in (
            _reads(figures),
            _waits(figures),
            _creations(figures),
            _workers(figures),
            _processes(figures),
            _beside_libraries(figures),
            _idle(figures),
            _judgement(figures),
        )
    ]


def _reads(figures: Figures) -> str:
    one, share = figures.value(1, "GET of live jobs"), figures.ratio(1, "GET of live jobs", "bare ASGI")
    many = figures.value(4, "100 jobs in one call")
    return f"One process answers {one} reads a second, {share} of a bare server's; {many} jobs where a call reads 100."


def _waits(figures: Figures) -> str:
    p50, p99 = (figures.value(6, f"{word} from completion to answer, ") for word in ("p50", "p99"))
    size, statements = figures.value(5, "Memory of each"), figures.value(5, "Statements while")
    known = f"With thousands of waits open an end is known after {p50} ms (p99 {p99})"
    return f"{known}; each takes {size} KB, and all together {statements} statements a second."


def _creations(figures: Figures) -> str:
    one, many = figures.value(8, "Create"), figures.value(8, "Create in batches")
    return f"Durable creations: {one} jobs a second one by one, {many} in batches."


def _workers(figures: Figures) -> str:
    one, fused, many = (
        figures.value(9, f"Claim, report, complete, {form}")
        for form in ("one by one", "with claim in complete", "with POST /v1/reports")
    )
    between = "" if fused == MISSING else f", {fused} with the next claim in each completion"
    return f"Workers: {one} jobs a second one by one{between}, {many} with `POST /v1/reports`: batch where you can."


def _processes(figures: Figures) -> str:
    parts = []
    for name, word in (("GET of live jobs", "reads"), ("Jobs one by one", "jobs one by one")):
        two, one = figures.value(14, name), figures.beside(14, name, "one process")
        parts.append(f"{two} {word} a second instead of {one}")
    return f"Two processes, with the load generator on the same cores: {', '.join(parts)}."


def _idle(figures: Figures) -> str:
    processor, size, statements = (figures.value(13, f"Idle: {word}") for word in ("processor", "RSS", "statements"))
    return f"Idle: {processor} % of a core, {size} MB, {statements} statements a second."


def _beside_libraries(figures: Figures) -> str:
    """Who is best at what, whoever that is."""
    parts = []
    for name, word in _BESIDE.items():
        found = figures.find(15, name)
        if found is None:
            continue
        rivals = {JOBTRACK: found.value} | {peer: statistics.median(rounds) for peer, rounds in found.beside.items()}
        best = min(rivals, key=lambda peer: rivals[peer])
        told = f"{word} {shown(found.value)} {found.unit}"
        parts.append(f"{told} ({'the least' if best == JOBTRACK else f'{best}: {shown(rivals[best])}'})")
    if not parts:
        return "Beside other Python job queues: not measured."
    return f"A job beside libraries on the same database, in brackets the best of them: {', '.join(parts)}."


def _judgement(figures: Figures) -> str:
    judged = [result for result in figures.all() if result.reached is not None]
    missed = sorted({result.row for result in judged if not result.reached})
    rows = f"; the others are in rows {', '.join(map(str, missed))}" if missed else ""
    return f"Of {len(judged)} figures asked for {sum(bool(result.reached) for result in judged)} are reached{rows}."
