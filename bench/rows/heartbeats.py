"""Row 12: heartbeats while somebody holds an old snapshot, which keeps PostgreSQL from cleaning up behind them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench import database
from bench.load import generator
from bench.load.connection import Request
from bench.load.generator import Generator
from bench.load.loops import open_loop
from bench.result import Result, Target
from bench.session import Session
from bench.store import Jobs

JOBS_A_CALL = 100
BEAT_SECONDS = 2.0
"""Between two heartbeats of a job."""
CLAIMS_PER_SECOND = 20
BEFORE = "before"
_WINDOW_SECONDS = 5.0
_GOOD_WINDOWS = 3
_QUEUE = "claimed"

_SIZE = """
    SELECT pg_total_relation_size('runs'), n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'runs'
"""


@dataclass(frozen=True, slots=True)
class Runs:
    """The narrow table that heartbeats write to, at one moment."""

    size: int
    updates: int
    hot: int

    @classmethod
    def now(cls, session: Session) -> Runs:
        return cls(*database.fetch(session.service.database_url, _SIZE)[0])


def measure(session: Session) -> Iterator[Result]:
    scale = session.scale
    jobs = session.store.running(scale.beating_jobs)
    claimed = int(CLAIMS_PER_SECOND * (scale.held_seconds * 2 + 1))
    session.store.pending(claimed, queue=_QUEUE)
    calls = _heartbeats(jobs)
    rate = len(calls) / BEAT_SECONDS
    longest = 2 * scale.held_seconds + scale.recovery_seconds + 60
    with Generator(open_loop, session.service.port, calls, rate=rate, count=int(rate * longest), connections=8):
        time.sleep(scale.steady_seconds)
        before = _claims(session)
        session.say(12, f"claim p99 before: {before:.1f} ms")
        with _snapshot(session):
            start = Runs.now(session)
            during = _claims(session)
            end = Runs.now(session)
        released = time.monotonic()
        grown = (end.size - start.size) / max(end.updates - start.updates, 1)
        session.say(12, f"while held: {grown:.0f} bytes a heartbeat, claim p99 {during:.1f} ms")
        if scale.recovery_seconds:
            recovered, hot = _recovery(session, released)
        else:
            recovered, hot = None, 0.0
    held = f"{scale.held_seconds:.0f} s"
    beats = f"{scale.beating_jobs:,} jobs, a heartbeat each {BEAT_SECONDS:.0f} s, {JOBS_A_CALL} a call"
    yield Result(
        row=12,
        name=f"Growth with a snapshot held for {held}",
        unit="bytes a heartbeat",
        rounds=[grown],
        target=Target("at most", 200),
        note=f"of the table and its indexes; {beats}",
    )
    yield Result(
        row=12,
        name=f"p99 of a claim with a snapshot held for {held}",
        unit="ms",
        rounds=[during],
        target=Target("at most", 3, BEFORE),
        beside={BEFORE: [before]},
        note=f"{CLAIMS_PER_SECOND} claims/s by an open loop, the heartbeats going on",
    )
    if recovered is not None:
        yield Result(
            row=12,
            name="From the release to HOT ≥ 99 % without growth",
            unit="s",
            rounds=[recovered],
            target=Target("at most", 60),
            note=f"in windows of {_WINDOW_SECONDS:.0f} s, {_GOOD_WINDOWS} in a row; in the last {hot:.1%} were HOT",
        )


def _heartbeats(jobs: Jobs) -> list[bytes]:
    rows = [{"job_id": jobs.id(n), "action": "report", "token": jobs.token(n)} for n in range(jobs.count)]
    chunks = (rows[start : start + JOBS_A_CALL] for start in range(0, len(rows), JOBS_A_CALL))
    return [Request.post("/v1/reports", {"reports": chunk}).raw() for chunk in chunks]


def _claims(session: Session) -> float:
    """The 99th percentile of claims, for as long as the snapshot is held."""
    claim = Request.post("/v1/claims", {"worker": "w", "queues": [_QUEUE], "lease_seconds": 3600}).raw()
    count = int(CLAIMS_PER_SECOND * session.scale.held_seconds)
    times = generator.run(open_loop, session.service.port, [claim], rate=CLAIMS_PER_SECOND, count=count, connections=8)
    return times.milliseconds(0.99)


@contextlib.contextmanager
def _snapshot(session: Session) -> Iterator[None]:
    """Hold a snapshot open on a connection of its own, as a forgotten report or a backup does."""
    done, held = threading.Event(), threading.Event()
    url = session.service.database_url

    def hold() -> None:
        database.hold_snapshot(url, held, done)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()


def _recovery(session: Session, released: float) -> tuple[float, float]:
    """Seconds from the release to the first of several good windows in a row, and the share of HOT in the last."""
    end = released + session.scale.recovery_seconds + _GOOD_WINDOWS * _WINDOW_SECONDS
    good, since, hot = 0, released, 0.0
    last = Runs.now(session)
    while good < _GOOD_WINDOWS and time.monotonic() < end:
        began = time.monotonic()
        time.sleep(_WINDOW_SECONDS)
        now = Runs.now(session)
        hot = (now.hot - last.hot) / max(now.updates - last.updates, 1)
        calm = hot >= 0.99 and now.size <= last.size
        good = good + 1 if calm else 0
        since = began if good == 1 else since if calm else time.monotonic()
        session.say(12, f"{began - released:3.0f} s after the release: {hot:.1%} HOT, {now.size - last.size:+,} bytes")
        last = now
    return since - released, hot
