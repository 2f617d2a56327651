"""The table on the terminal."""

# ruff: noqa: RUF001
# The multiplication sign and the dash are meant.

from __future__ import annotations

import statistics

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.result import Result, shown
from bench.run import Run


def print_run(run: Run, console: Console) -> None:
    """Print what was measured, what it cost, and what failed."""
    results = sorted(run.results, key=lambda result: result.row)
    if results:
        console.print(_figures(run, results))
        if any(result.costs for result in results):
            console.print(_costs(results))
    for omission in run.omissions:
        console.print(f"Row {omission.row}, not measured: {omission.name}. {escape(omission.why)}", highlight=False)
    for rows, why in run.failures:
        console.print(f"[red]Row {rows} failed:[/red] {escape(why)}", highlight=False)
    if run.options.mode != "full":
        console.print(
            f"Measured at the size of a {run.options.mode} run, not of the figures; `make bench-full` measures those.",
            highlight=False,
        )


def _figures(run: Run, results: list[Result]) -> Table:
    table = Table(title="Figures", title_justify="left")
    for heading in ("Row", "What", "Median", "Lowest – highest", "Beside it", "Asked for"):
        table.add_column(heading, justify="right" if heading in {"Row", "Median"} else "left")
    if run.options.judges:
        table.add_column("Verdict")
    for result in results:
        low, high = result.spread
        beside = [
            f"{name} {shown(statistics.median(rounds))} (× {shown(result.ratio(name) or 0)})"
            for name, rounds in result.beside.items()
        ]
        cells = [
            str(result.row),
            result.name,
            f"{shown(result.value)} {result.unit}",
            f"{shown(low)} – {shown(high)}" if len(result.rounds) > 1 else "",
            "\n".join(beside),
            result.target.text(result.unit) if result.target else "",
        ]
        if run.options.judges:
            colour = {True: "green", False: "red", None: "default"}[result.reached]
            cells.append(f"[{colour}]{result.verdict}[/{colour}]")
        table.add_row(*cells)
    return table


def _costs(results: list[Result]) -> Table:
    names = list(dict.fromkeys(name for result in results for name in result.costs))
    table = Table("Row", "What", *names, title="What it cost", title_justify="left")
    for result in results:
        if result.costs:
            costs = [shown(result.costs[name]) if name in result.costs else "" for name in names]
            table.add_row(str(result.row), result.name, *costs)
    return table
