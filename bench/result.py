"""What a measurement came to, and whether that is what was asked for."""

# ruff: noqa: RUF001
# The multiplication sign is meant.

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Rounds: TypeAlias = Sequence[float]
"""One value a round."""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed: nothing is interpolated."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked for: a bound on the value itself, or on its ratio to the baseline named by `against`."""

    sense: Literal["at least", "at most"]
    figure: float
    against: str | None = None

    def text(self, unit: str) -> str:
        sign = "≥" if self.sense == "at least" else "≤"
        return f"{sign} {shown(self.figure)} {f'× {self.against}' if self.against else unit}".rstrip()

    def spare(self, measured: float) -> float:
        """How far the measured value is on the right side of the figure, as a part of it; negative on the wrong."""
        difference = measured - self.figure if self.sense == "at least" else self.figure - measured
        return difference / self.figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure of a row."""

    row: int
    name: str
    unit: str
    rounds: Rounds
    target: Target | None = None
    beside: Mapping[str, Rounds] = field(default_factory=dict)
    """Baselines of the same rounds, in the same unit unless their name says another."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """What it cost while it ran: see `meter.Costs`."""
    note: str = ""
    """How exactly it was measured, where the name does not say it."""

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.rounds), max(self.rounds)

    def ratio(self, baseline: str) -> float | None:
        """The median of the rounds' ratios: both sides of each were measured within seconds of each other."""
        pairs = list(zip(self.rounds, self.beside[baseline], strict=True))
        return statistics.median(ours / theirs for ours, theirs in pairs) if all(t for _, t in pairs) else None

    @property
    def judged(self) -> float | None:
        """What the target is about: the value, or a ratio."""
        if self.target is None:
            return None
        return self.ratio(self.target.against) if self.target.against else self.value

    @property
    def reached(self) -> bool | None:
        judged = self.judged
        return None if self.target is None or judged is None else self.target.spare(judged) >= 0

    @property
    def verdict(self) -> str:
        """Reached or not, and by how much."""
        judged = self.judged
        if self.target is None or judged is None:
            return ""
        spare = self.target.spare(judged)
        if spare >= 0:
            return f"reached, {spare:.0%} to spare" if spare < 1 else f"reached, {spare + 1:.1f} times what is asked"
        return f"missed by {-spare:.0%}" if spare > -1 else f"missed, {1 - spare:.1f} times what is allowed"

    def document(self) -> dict[str, Any]:
        first = self.target.against if self.target and self.target.against else next(iter(self.beside), None)
        return {
            "row": self.row,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "rounds": list(self.rounds),
            "spread": list(self.spread),
            "target": self.target
            and {"sense": self.target.sense, "figure": self.target.figure, "against": self.target.against},
            "ratio": None if first is None else self.ratio(first),
            "baseline": first,
            "beside": {name: list(rounds) for name, rounds in self.beside.items()},
            "reached": self.reached,
            "costs": dict(self.costs),
            "note": self.note,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Result:
        """Read back what `document` gave."""
        target = document["target"]
        return cls(
            row=document["row"],
            name=document["name"],
            unit=document["unit"],
            rounds=document["rounds"],
            target=None if target is None else Target(target["sense"], target["figure"], target["against"]),
            beside=document["beside"],
            costs=document["costs"],
            note=document["note"],
        )


@dataclass(frozen=True, slots=True)
class Omission:
    """A figure of a row that was not measured, and why, in a sentence."""

    row: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a plotted line, with the lowest and highest round."""

    x: float
    y: float
    low: float
    high: float

    @classmethod
    def of(cls, x: float, rounds: Rounds) -> Point:
        return cls(x, statistics.median(rounds), min(rounds), max(rounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot of the report."""

    row: int
    plot: str
    name: str
    points: Sequence[Point]

    def document(self) -> dict[str, Any]:
        points = [[point.x, point.y, point.low, point.high] for point in self.points]
        return {"row": self.row, "plot": self.plot, "name": self.name, "points": points}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Line:
        """Read back what `document` gave."""
        points = [Point(*values) for values in document["points"]]
        return cls(row=document["row"], plot=document["plot"], name=document["name"], points=points)


def shown(number: float) -> str:
    """A number as people read it: three digits, or all of them before the point."""
    if number == 0:
        return "0"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    digits = max(2 - math.floor(math.log10(abs(number))), 0)
    text = f"{number:.{min(digits, 4)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
