"""Row 6: from a completion over HTTP to the answer of the wait for it, beside requests that poll."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx

from bench.child import Child
from bench.load import generator
from bench.load.connection import Request
from bench.load.generator import Generator, GeneratorError
from bench.load.holding import OPEN, Held, hold
from bench.load.loops import Timetable, open_loop
from bench.result import Line, Point, Result, Target, quantile
from bench.rows.held import Waiters, waiting, waits
from bench.session import Costs, Session, medians
from bench.store import Jobs

FEW_PER_SECOND = 10
"""Completions beside which polls are counted: a thousand jobs that take a hundred seconds each."""
POLLING = "polling"


@dataclass(slots=True)
class Wakes:
    """What one kind of wait came to, round by round."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)

    def add(self, latencies: Sequence[float]) -> None:
        """Note a round's latencies."""
        self.p50.append(quantile(latencies, 0.5) * 1000)
        self.p99.append(quantile(latencies, 0.99) * 1000)


def measure(session: Session) -> Iterator[Result | Line]:
    scale, costs = session.scale, Costs()
    rate = scale.completions_per_second
    found = Wakes()
    for number in range(scale.rounds):
        found.add(_served(session, scale.waiters, rate, costs))
        session.say(
            6, f"round {number + 1}/{scale.rounds}  p50 {found.p50[-1]:.1f} ms, p99 {found.p99[-1]:.1f} ms at {rate}/s"
        )
    note = f"{rate} completions/s by an open loop, from when each was due to the last byte of the wait's answer"
    for word, rounds, figure in (("p50", found.p50, 10), ("p99", found.p99, 60)):
        yield Result(
            row=6,
            name=f"{word} from completion to answer, {scale.waiters:,} waiters",
            unit="ms",
            rounds=rounds,
            target=Target("at most", figure),
            costs=medians(costs),
            note=note,
        )
    with session.baseline("polling_wait", session.service.database_url) as polling:
        yield from _compared(session, polling)
        yield from _plotted(session, polling)


def _complete(jobs: Jobs) -> list[bytes]:
    return [
        Request.post(f"/v1/jobs/{jobs.id(n)}/complete", {"token": jobs.token(n), "result": {"pages": 12}}).raw()
        for n in range(jobs.count)
    ]


def _completed(session: Session, jobs: Jobs, rate: float, count: int) -> Timetable:
    """Complete the first of the jobs, one after the other."""
    return generator.run(open_loop, session.service.port, _complete(jobs)[:count], rate=rate, count=count)


def _served(session: Session, waiters: int, rate: int, costs: Costs, *, seconds: float = 0) -> list[float]:
    """The latencies of waits at the service. One that was answered is replaced, so that their number stays."""
    count = int(rate * (seconds or session.scale.seconds))
    jobs = session.store.running(waiters + count)
    with waiting(session, waits(jobs), at_once=waiters) as held:
        with session.meter.measuring(costs):
            times = _completed(session, jobs, rate, count)
        return _latencies(times, held.stop(answers=count))


def _polled(session: Session, polling: Child, waiters: int, rate: int, *, seconds: float) -> tuple[list[float], float]:
    """The same by requests that poll, and how many statements a second they sent."""
    count = int(rate * seconds)
    jobs = session.store.running(waiters + count)
    requests = [Request("GET", f"/wait/{job_id}").raw() for job_id in jobs.ids()]
    with Generator(hold, polling.port, requests, at_once=waiters) as held:
        if held.receive() != OPEN:
            raise GeneratorError("the polling waits were not opened")
        before = _polls(polling)
        times = _completed(session, jobs, rate, count)
        return _latencies(times, Waiters(held).stop(answers=count)), (_polls(polling) - before) / (count / rate)


def _polls(polling: Child) -> int:
    answer = httpx.get(f"{polling.said['url']}/polls", timeout=30, trust_env=False)
    return int(answer.raise_for_status().json()["polls"])


def _latencies(times: Timetable, held: Held) -> list[float]:
    """From when a completion was due to the answer of the wait for it."""
    times.latencies()
    answered = held.answered[: len(times.due)]
    if not all(answered):
        raise GeneratorError(f"of {len(answered)} waits for completed jobs {answered.count(0.0)} were not answered")
    return [at - due for at, due in zip(answered, times.due, strict=True)]


def _compared(session: Session, polling: Child) -> Iterator[Result]:
    waiters, seconds = session.scale.polled_waiters, max(session.scale.seconds, session.scale.steady_seconds)
    ours, theirs = Wakes(), Wakes()
    for number in range(session.scale.rounds):
        alone, with_waits = Costs(), Costs()
        count = int(FEW_PER_SECOND * seconds)
        with session.meter.measuring(alone):
            _completed(session, session.store.running(count), FEW_PER_SECOND, count)
        ours.add(_served(session, waiters, FEW_PER_SECOND, with_waits, seconds=seconds))
        # The same completions without waits cost the rest: what is left is what waiting costs.
        ours.statements.append(max(with_waits["statements/s"][0] - alone["statements/s"][0], 0.1))
        latencies, polls = _polled(session, polling, waiters, FEW_PER_SECOND, seconds=seconds)
        theirs.add(latencies)
        theirs.statements.append(polls)
        session.say(
            6,
            f"round {number + 1}/{session.scale.rounds}  {waiters} waiters: p50 {ours.p50[-1]:.1f} ms and "
            f"{ours.statements[-1]:.1f} statements/s, by polling {theirs.p50[-1]:.0f} ms and {polls:.0f}",
        )
    yield Result(
        row=6,
        name=f"p50 from completion to answer, {waiters:,} waiters",
        unit="ms",
        rounds=ours.p50,
        target=Target("at most", 1 / 20, POLLING),
        beside={POLLING: theirs.p50},
        note=f"{FEW_PER_SECOND} completions/s",
    )
    yield Result(
        row=6,
        name=f"Statements of waiting, {waiters:,} waiters",
        unit="/s",
        rounds=ours.statements,
        target=Target("at most", 1 / 50, POLLING),
        beside={POLLING: theirs.statements},
        note=f"{FEW_PER_SECOND} completions/s; what the same completions cost without waits is subtracted",
    )


def _plotted(session: Session, polling: Child) -> Iterator[Line]:
    shown: dict[str, list[Point]] = {"Jobtrack p50": [], "Jobtrack p99": [], "polling p50": []}
    for waiters in session.scale.plotted_waiters:
        found, polled = Wakes(), Wakes()
        for _ in range(min(session.scale.rounds, 3)):
            found.add(_served(session, waiters, min(session.scale.completions_per_second, waiters), Costs()))
            if waiters <= session.scale.polled_waiters:
                try:
                    polled.add(_polled(session, polling, waiters, FEW_PER_SECOND, seconds=session.scale.seconds)[0])
                except GeneratorError as error:
                    # Ten connections for a thousand waiters: on a slow machine some are answered with 500, or never.
                    session.say(6, f"{waiters} waiters by polling: {error}")
        shown["Jobtrack p50"].append(Point.of(waiters, found.p50))
        shown["Jobtrack p99"].append(Point.of(waiters, found.p99))
        if polled.p50:
            shown["polling p50"].append(Point.of(waiters, polled.p50))
        session.say(6, f"{waiters} waiters: p50 {found.p50[-1]:.1f} ms, p99 {found.p99[-1]:.1f} ms")
    for name, points in shown.items():
        if points:
            yield Line(row=6, plot="wakes", name=name, points=points)
