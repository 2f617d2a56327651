"""Row 5: many open waits in one process: memory, statements, and what they do to other reads."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.load import generator
from bench.load.connection import Request
from bench.load.loops import closed_loop, open_loop
from bench.meter import longest
from bench.result import Result, Target
from bench.rows.held import waiting, waits
from bench.session import Costs, Session, medians
from bench.store import Jobs

READS_PER_SECOND = 200
"""Of the other reads: few enough that the service is not busy with them alone."""
_GET_WAIT_SECONDS = 50
_KILOBYTES = 1000
_SETTLE_SECONDS = 1.0
_PAUSES = "jobtrack_gc_pause_seconds"


def measure(session: Session) -> Iterator[Result]:
    count = session.scale.waiters
    waited = session.store.running(count)
    read = session.store.running(1_000)
    sizes: list[float] = []
    statements: list[float] = []
    costs: Costs = {}
    without: list[float] = []
    with_them: list[float] = []
    requests = waits(waited)
    pauses: list[float] = []
    for number in range(session.scale.pairs):
        before = _warmed(session, read)
        without.append(_p99(session, read))
        walked = session.meter.buckets(_PAUSES)
        with waiting(session, requests, at_once=count):
            sizes.append((session.meter.rss() - before) * _KILOBYTES / count)
            time.sleep(_SETTLE_SECONDS)
            if number < session.scale.rounds:
                with session.meter.measuring(costs):
                    time.sleep(session.scale.quiet_seconds)
                statements.append(costs["statements/s"][-1])
            with_them.append(_p99(session, read))
            pauses.append(longest(walked, session.meter.buckets(_PAUSES)) * 1000)
        session.say(
            5,
            f"round {number + 1}/{session.scale.pairs}  {sizes[-1]:.1f} KB each, {statements[-1]:.1f} statements/s, "
            f"GET p99 {without[-1]:.1f} ms without and {with_them[-1]:.1f} ms with them, "
            f"collector ≤ {pauses[-1]:.0f} ms",
        )
    by_get = _by_get(session, waited, read)
    session.say(5, f"by GET with wait: {by_get:.1f} KB each")
    yield Result(
        row=5,
        name=f"Memory of each of {count:,} open waits",
        unit="KB",
        rounds=sizes,
        target=Target("at most", 25),
        costs=medians(costs),
        note="growth of RSS by POST /v1/jobs/wait in a new process, distinct jobs",
    )
    yield Result(
        row=5,
        name=f"Memory of each of {count:,} open waits by GET",
        unit="KB",
        rounds=[by_get],
        target=Target("at most", 25),
        note=f"growth of RSS by GET /v1/jobs/{{id}}?wait={_GET_WAIT_SECONDS} in a new process",
    )
    yield Result(
        row=5,
        name="Statements while nothing changes",
        unit="/s",
        rounds=statements,
        target=Target("at most", 3),
        note="all of the service's, its background loops included",
    )
    name = f"p99 of GET without {count:,} waits"
    yield Result(
        row=5,
        name=f"p99 of GET with {count:,} waits",
        unit="ms",
        rounds=with_them,
        target=Target("at most", 2, name),
        beside={name: without},
        note=f"open loop, {READS_PER_SECOND} requests/s, of live jobs that nobody waits for; {len(without)} pairs",
    )
    yield Result(
        row=5,
        name=f"Longest pause of the collector with {count:,} waits",
        unit="ms",
        rounds=[max(pauses)],
        target=Target("at most", 25),
        note=f"the bound of the highest filled bucket of `{_PAUSES}`, from before the waits were begun",
    )


def _warmed(session: Session, read: Jobs) -> float:
    """The memory of a new process that has answered something: what is loaded at first use is not a wait's."""
    session.service.restart()
    raw = [Request("GET", f"/v1/jobs/{job_id}").raw() for job_id in read.ids()]
    raw += [Request.post("/v1/jobs/wait", {"ids": [job_id], "wait": 0}).raw() for job_id in read.ids()]
    generator.run(closed_loop, session.service.port, raw, connections=16, count=len(raw))
    return session.meter.rss()


def _p99(session: Session, read: Jobs) -> float:
    raw = [Request("GET", f"/v1/jobs/{job_id}").raw() for job_id in read.ids()]
    count = int(READS_PER_SECOND * max(session.scale.seconds, session.scale.steady_seconds))
    times = generator.run(open_loop, session.service.port, raw, rate=READS_PER_SECOND, count=count, connections=64)
    return times.milliseconds(0.99)


def _by_get(session: Session, waited: Jobs, read: Jobs) -> float:
    before = _warmed(session, read)
    requests = [Request("GET", f"/v1/jobs/{job_id}?wait={_GET_WAIT_SECONDS}") for job_id in waited.ids()]
    with waiting(session, requests, at_once=waited.count, repeat=True):
        return (session.meter.rss() - before) * _KILOBYTES / waited.count
