"""Row 7: one job and ten thousand waiters, who must not become ten thousand reads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.load.generator import GeneratorError
from bench.result import Result, Target
from bench.rows.held import wait_for, waiting
from bench.session import Session
from bench.store import Jobs

_CONTROLS = 3


def measure(session: Session) -> Iterator[Result]:
    count, rounds = session.scale.waiters, session.scale.rounds
    waited = session.store.running(rounds)
    lonely = session.store.running(rounds * _CONTROLS)
    seconds: list[float] = []
    reads: list[float] = []
    for number in range(rounds):
        with waiting(session, [wait_for(waited.id(number))] * count, at_once=count) as held:
            # Completions of jobs that nobody waits for: what a completion and the background cost in such a window.
            first = number * _CONTROLS
            controls = [_window(session, lonely, n)[1] for n in range(first, first + _CONTROLS)]
            began, statements = _window(session, waited, number)
            answered = held.stop(answers=count).answered
        if not all(answered):
            raise GeneratorError(f"{answered.count(0.0)} of {count} waiters got no answer ")
        seconds.append(max(answered) - began)
        reads.append(max(statements - statistics.median(controls), 0))
        session.say(7, f"round {number + 1}/{rounds}  all answered in {seconds[-1]:.2f} s, {reads[-1]:.0f} reads")
    yield Result(
        row=7,
        name=f"{count:,} waiters for one job, all answered",
        unit="s",
        rounds=seconds,
        target=Target("at most", 1.5),
        note="from when the completion was sent",
    )
    yield Result(
        row=7,
        name=f"Reads for {count:,} waiters",
        unit="statements",
        rounds=reads,
        target=Target("at most", 3),
        note=f"of the service in {session.scale.window_seconds:.0f} s, less those in as long around a completion that "
        "nobody waits for",
    )


def _window(session: Session, jobs: Jobs, n: int) -> tuple[float, float]:
    """Complete a job; gives when that was sent, and the service's statements from then on for some time."""
    meter = session.meter
    before = meter.statements()
    began = time.monotonic()
    with session.service.client() as client:
        client.post(f"/v1/jobs/{jobs.id(n)}/complete", json={"token": jobs.token(n)}).raise_for_status()
    time.sleep(max(began + session.scale.window_seconds - time.monotonic(), 0))
    return began, meter.statements() - before
