"""Row 13: what a service costs to which nobody speaks. Measured first, on a new process and an empty database."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.result import Result, Target
from bench.session import Costs, Session, medians

_SETTLE_SECONDS = 1.0


def measure(session: Session) -> Iterator[Result]:
    costs: Costs = {}
    # The start itself is not idle yet.
    _ = session.service
    time.sleep(_SETTLE_SECONDS)
    rounds = min(session.scale.rounds, 2)
    for number in range(rounds):
        with session.meter.measuring(costs):
            time.sleep(session.scale.idle_seconds)
        session.say(13, f"round {number + 1}/{rounds}  {costs['statements/s'][-1]:.1f} statements/s")
    note = f"over {session.scale.idle_seconds:.0f} s; the two statements by which the counters are read are among them"
    yield Result(
        row=13,
        name="Idle: statements",
        unit="/s",
        rounds=costs["statements/s"],
        target=Target("at most", 3),
        costs=medians(costs),
        note=note,
    )
    yield Result(
        row=13,
        name="Idle: processor",
        unit="% of a core",
        rounds=[cores * 100 for cores in costs["server cores"]],
        target=Target("at most", 0.5),
        note="of all the service's processes, the answers to the two looks at its counters included",
    )
    yield Result(row=13, name="Idle: RSS", unit="MB", rounds=costs["RSS MB"], target=Target("at most", 120))
