"""The report: a page of Markdown with every row, and a picture for each plot, written from a run."""

# ruff: noqa: RUF001
# The multiplication sign and the dash are meant.

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.bounds import BOUNDS
from bench.figures import ROWS
from bench.result import Line, Omission, Result, shown
from bench.run import Run
from bench.takeaways import takeaways

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PICTURES = PAGE.with_suffix("")
RESULTS = PICTURES / "results.json"
"""What the page was written from; a run of some rows replaces these and keeps the others."""

_TITLES = {
    "throughput": ("Reads per second against connections", "connections", "reads a second"),
    "latency": ("Latency of reads against connections", "connections", "milliseconds"),
    "wakes": ("Completion to the answer of a wait, against waiters", "waiters", "milliseconds"),
    "history": ("Cost against finished jobs in the tables", "finished jobs", "milliseconds"),
}
_LOGARITHMIC = {"wakes"}
"""Plots of what differs by a hundred times: on a plain scale the best of it would be a line on the axis."""
_GREY = "#7f7f7f"
"""Readable on white and on black."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the page tells of one row, and when it was measured."""

    day: str
    results: list[Result]
    lines: list[Line]
    omissions: list[Omission]


def write_report(run: Run) -> list[Path]:
    """Write the page and its pictures; gives what was written.

    Rows that this run has not measured stay as they were, if they were measured at the same size: a row can be measured
    again by itself, and an hour's run that was cut short loses nothing.
    """
    rows = measured(run)
    PICTURES.mkdir(exist_ok=True)
    kept = {
        "mode": run.options.mode,
        "rows": {
            str(number): {
                "day": row.day,
                "results": [result.document() for result in row.results],
                "lines": [line.document() for line in row.lines],
                "omissions": [dataclasses.asdict(omission) for omission in row.omissions],
            }
            for number, row in sorted(rows.items())
        },
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    pictures = _draw([line for _, row in sorted(rows.items()) for line in row.lines])
    PAGE.write_text("\n".join(page(run, rows, pictures)) + "\n")
    return [PAGE, RESULTS, *pictures]


def measured(run: Run) -> dict[int, _Measured]:
    """All rows of the page: those of this run, and what it tells now of those that this run has left out."""
    kept = _kept(run)
    return kept | {
        number: _Measured(
            run.began[:10],
            [result for result in run.results if result.row == number],
            [line for line in run.lines if line.row == number],
            [omission for omission in run.omissions if omission.row == number],
        )
        for number in {result.row for result in run.results}
        | ({omission.row for omission in run.omissions} - kept.keys())
    }


def _kept(run: Run) -> dict[int, _Measured]:
    """What the page tells now, if it was measured at the size of this run."""
    if not RESULTS.is_file():
        return {}
    kept = json.loads(RESULTS.read_text())
    if kept["mode"] != run.options.mode:
        return {}
    return {
        int(number): _Measured(
            row["day"],
            list(map(Result.of, row["results"])),
            list(map(Line.of, row["lines"])),
            [Omission(**omission) for omission in row.get("omissions", ())],
        )
        for number, row in kept["rows"].items()
    }


def page(run: Run, rows: Mapping[int, _Measured], pictures: Iterable[Path]) -> Iterable[str]:
    size = "at the full size of the figures" if run.options.mode == "full" else "smaller than the figures ask for"
    yield "# Performance"
    yield ""
    yield from takeaways({number: row.results for number, row in sorted(rows.items())})
    yield ""
    target = "make bench-full" if run.options.mode == "full" else "make bench ARGS=--report"
    yield f"Written by `{target}` on {run.began[:10]}, {size}. One service process with its own PostgreSQL, fsync on,"
    yield "driven over loopback from other processes, beside baselines in the same run. Medians of the rounds, with the"
    yield "lowest and the highest; ratios are medians of the rounds' ratios. The machine is shared and noisy, so that"
    yield "ratios say more than numbers."
    yield ""
    yield from (f"- {name}: {value}" for name, value in run.machine.items())
    yield ""
    yield from _summary(rows)
    for number, row in ROWS.items():
        told = rows.get(number)
        results = told.results if told else []
        yield f"## {number}. {row.work}"
        yield ""
        yield f"Asked for: {row.figure}."
        yield ""
        yield from _table(results) if results else ["Not measured in this run."]
        yield ""
        yield from (f"Not measured: {left.name}. {left.why}\n" for left in (told.omissions if told else ()))
        yield from (f"It failed: {why}\n" for rows_, why in run.failures if str(number) in rows_.split(", "))
        yield from _costs(results)
        yield from (f"{result.name}: {result.note}.\n" for result in results if result.note)
        if BOUNDS[number]:
            yield f"What bounds it: {BOUNDS[number]}\n"
        when = f", measured on {told.day}" if told and told.day != run.began[:10] else ""
        yield f"Again: `{run.options.command(number)}`{when}"
        yield ""
    for picture in pictures:
        yield f"![{_TITLES.get(picture.stem, (picture.stem,))[0]}](performance/{picture.name})"
        yield ""


def _summary(rows: Mapping[int, _Measured]) -> Iterable[str]:
    """All figures on one page, for those who want no more."""
    yield "| Row | What | Measured | Asked for | |"
    yield "|---|---|---|---|---|"
    for number, row in sorted(rows.items()):
        for result in row.results:
            if result.target is not None:
                against = result.target.against
                beside = f" (× {shown(result.ratio(against) or 0)} of {against})" if against else ""
                value = f"{shown(result.value)} {result.unit}{beside}"
                yield f"| {number} | {result.name} | {value} | {result.target.text(result.unit)} | {result.verdict} |"
    yield ""


def _table(results: Iterable[Result]) -> Iterable[str]:
    yield "| What | Median | Lowest – highest | Beside it | Asked for | |"
    yield "|---|---|---|---|---|---|"
    for result in results:
        low, high = result.spread
        beside = "<br>".join(
            f"{name} {shown(statistics.median(rounds))} (× {shown(result.ratio(name) or 0)})"
            for name, rounds in result.beside.items()
        )
        spread = f"{shown(low)} – {shown(high)}" if len(result.rounds) > 1 else ""
        target = result.target.text(result.unit) if result.target else ""
        value = f"{shown(result.value)} {result.unit}"
        yield f"| {result.name} | {value} | {spread} | {beside} | {target} | {result.verdict} |"


def _costs(results: Iterable[Result]) -> Iterable[str]:
    for result in results:
        if result.costs:
            costs = ", ".join(f"{name} {shown(value)}" for name, value in result.costs.items())
            yield f"Cost of {result.name}: {costs}.\n"


def _draw(lines: Iterable[Line]) -> list[Path]:
    plots: dict[str, list[Line]] = {}
    for line in lines:
        plots.setdefault(line.plot, []).append(line)
    if not plots:
        return []
    # Here, for nothing but the report needs it.
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    written = []
    for plot, drawn in plots.items():
        title, across, up = _TITLES.get(plot, (plot, "", ""))
        with plt.rc_context({"svg.hashsalt": plot, "font.size": 9}):
            figure, axes = plt.subplots(figsize=(6.4, 3.4))
            for line in drawn:
                points = line.points
                [stroke] = axes.plot([p.x for p in points], [p.y for p in points], marker="o", label=line.name)
                axes.fill_between(
                    [p.x for p in points],
                    [p.low for p in points],
                    [p.high for p in points],
                    alpha=0.2,
                    color=stroke.get_color(),
                )
            axes.set(title=title, xlabel=across, ylabel=up, xscale="log")
            if plot in _LOGARITHMIC:
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
            for part in (
                axes.title,
                axes.xaxis.label,
                axes.yaxis.label,
                *axes.get_xticklabels(),
                *axes.get_yticklabels(),
            ):
                part.set_color(_GREY)
            axes.tick_params(colors=_GREY)
            axes.grid(visible=True, color=_GREY, alpha=0.3)
            axes.legend(frameon=False, labelcolor=_GREY)
            path = PICTURES / f"{plot}.svg"
            figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
        written.append(path)
    return written
