"""Row 11: whether years of finished jobs slow down what is done today.

Two services run side by side, one with a short history and one whose history grows, so that both sides of a ratio are
measured within the same seconds.
"""

from __future__ import annotations

import contextlib
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.load import generator
from bench.load.connection import Request
from bench.load.probing import Probes, probe
from bench.result import Line, Point, Result, Target
from bench.rows.held import wait_for
from bench.service import Service
from bench.session import Session
from bench.store import Jobs, Store

READS, CLAIMS, LISTS, WAKES = 200, 60, 40, 40
PROBE_QUEUE = "probe"


@dataclass(slots=True)
class Side:
    """One of the two services, and the jobs that its probes use up."""

    service: Service
    store: Store
    ready: Jobs
    held: Jobs
    finished: list[Jobs] = field(default_factory=list)
    used: int = 0

    @classmethod
    def of(cls, service: Service, probes: int) -> Side:
        store = Store(service.database_url)
        ready = store.pending(CLAIMS * probes, queue=PROBE_QUEUE)
        return cls(service, store, ready, store.running(WAKES * probes))

    def grow(self, count: int) -> None:
        """Add finished jobs until there are so many."""
        missing = count - sum(jobs.count for jobs in self.finished)
        self.finished.append(self.store.completed(missing, history=True))

    def probe(self) -> dict[str, float]:
        """The median of each kind of call, in milliseconds."""
        held = range(self.used * WAKES, (self.used + 1) * WAKES)
        self.used += 1
        claim = {"worker": "w", "queues": [PROBE_QUEUE], "lease_seconds": 3600}
        probes = Probes(
            gets=[Request("GET", f"/v1/jobs/{self._any()}").raw() for _ in range(READS)],
            claims=[Request.post("/v1/claims", claim).raw()] * CLAIMS,
            lists=[Request("GET", "/v1/jobs").raw()] * LISTS,
            wakes=[(wait_for(self.held.id(n)).raw(), self._complete(n)) for n in held],
        )
        found = generator.run(probe, self.service.port, probes)
        return {kind: statistics.median(seconds) * 1000 for kind, seconds in found.items()}

    def _any(self) -> str:
        """Any finished job, so that most reads are the first of theirs."""
        jobs = random.choices(self.finished, [jobs.count for jobs in self.finished])[0]
        return jobs.id(random.randrange(jobs.count))

    def _complete(self, n: int) -> bytes:
        token = self.held.token(n)
        return Request.post(f"/v1/jobs/{self.held.id(n)}/complete", {"token": token, "result": {}}).raw()


def measure(session: Session) -> Iterator[Result | Line]:
    scale = session.scale
    probes = scale.rounds * len(scale.histories)
    ours: dict[int, dict[str, list[float]]] = {}
    short: dict[int, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        small = Side.of(stack.enter_context(Service(session.folder("short-history"))), probes)
        large = Side.of(stack.enter_context(Service(session.folder("long-history"))), probes)
        small.grow(scale.small_history)
        for history in scale.histories:
            large.grow(history)
            session.say(11, f"{history:,} finished jobs loaded")
            for number in range(scale.rounds):
                for side, found in ((small, short), (large, ours)):
                    for kind, milliseconds in side.probe().items():
                        found.setdefault(history, {}).setdefault(kind, []).append(milliseconds)
                told = (
                    f"{kind} {ours[history][kind][-1]:.1f}/{short[history][kind][-1]:.1f}" for kind in ours[history]
                )
                session.say(11, f"round {number + 1}/{scale.rounds}  ms, long/short history: {', '.join(told)}")
    longest = scale.histories[-1]
    baseline = f"{scale.small_history:,} finished"
    for kind, rounds in ours[longest].items():
        yield Result(
            row=11,
            name=f"{kind}, {longest:,} finished jobs",
            unit="ms",
            rounds=rounds,
            target=Target("at most", 1.3, baseline),
            beside={baseline: short[longest][kind]},
            note="median of single calls, one after the other",
        )
        points = [Point.of(scale.small_history, [one for found in short.values() for one in found[kind]])]
        points += [Point.of(history, ours[history][kind]) for history in scale.histories]
        yield Line(row=11, plot="history", name=kind, points=points)
