"""Row 15: other Python job queues on the same PostgreSQL, each in a database of its own, in the same rounds.

They are libraries: the process that creates a job holds connections to the database, and so does each worker. The
service is reached over HTTP. So costs are of everything: the client's, the service's and the database's processor time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

from bench import database
from bench.child import ROOT
from bench.result import Omission, Result
from bench.rows.sides import Library, Ours, Side, Work
from bench.session import Session

PYTHON = ROOT / ".venv" / "peers" / "bin" / "python"
PEERS = ("pgqueuer", "procrastinate", "saq", "chancy")
JOBS_A_BATCH = 1_000
WAKES = 20
_WHAT = "Jobtrack is a service over HTTP; {} are libraries on the database"
ENQUEUE, BATCHES, WORK = "Enqueue one by one", f"Enqueue in batches of {JOBS_A_BATCH:,}", "Work off"
START, END = "From a creation to the job's start, p50", "From a job's end to who waits for it, p50"
IDLE_PROCESSOR, IDLE_TRANSACTIONS = "Idle beside a waiting worker: processor", "Idle beside a waiting worker: database"

Kept: TypeAlias = Callable[[Side], list[float]]


def measure(session: Session) -> Iterator[Result | Omission]:
    if not PYTHON.is_file():
        yield Omission(15, "Other job queues", "They are not installed: `make bench-full` does that.")
        return
    with contextlib.ExitStack() as stack:
        ours = Ours(session)
        libraries = [stack.enter_context(_library(session, package)) for package in PEERS]
        sides: list[Side] = [ours, *libraries]
        for number in range(session.scale.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                _round(session, side)
                session.say(15, f"round {number + 1}/{session.scale.rounds}  {side.told()}")
                side.clear()
        # One after the other, for a server that does anything else is not idle.
        background = 0.0
        for side in sides:
            used = side.idle(session.scale.idle_seconds / 2, background)
            # The service goes on beside the libraries.
            background = background or used
            session.say(15, f"{side.name} idle: {side.transactions[-1]:.1f} transactions/s")
    yield from _results(ours, libraries, session.scale.idle_seconds / 2)


@contextlib.contextmanager
def _library(session: Session, package: str) -> Iterator[Library]:
    """Start a peer's program on a new database of the same server."""
    name = f"peer_{package}"
    superuser = session.service.superuser_url
    database.run(superuser, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} OWNER jobtrack")
    url = session.service.database_url.replace("/jobtrack?", f"/{name}?")
    with session.program([str(PYTHON), "-m", f"bench.peers.use_{package}", url], package, obeys=True) as child:
        yield Library(session, package, child, url)


def _round(session: Session, side: Side) -> None:
    seconds = session.scale.seconds
    side.enqueue(seconds)
    if side.batches:
        side.enqueue_batches(seconds, JOBS_A_BATCH)
    side.clear()
    side.work(seconds)
    side.clear()
    side.wake(WAKES)


def _results(ours: Ours, libraries: list[Library], idle_seconds: float) -> Iterator[Result]:
    what = _WHAT.format(", ".join(library.name for library in libraries))
    yield from _work_results(
        ours,
        libraries,
        ENQUEUE,
        lambda side: side.enqueued,
        f"{what}; 64 at once, a pool of 10 connections, a worker of 100 jobs at once, all else as they come",
    )
    with_batches = [library for library in libraries if library.batches]
    without = ", ".join(library.name for library in libraries if not library.batches)
    note = "a call after the other" + (f"; {without}: none" if without else "")
    yield from _work_results(ours, with_batches, BATCHES, lambda side: side.batched, note)
    note = (
        "claimed and ended by up to a hundred, or as many at once, in one worker process of a library; chancy writes "
        "ends once a second, the last of them after its rate was taken"
    )
    yield from _work_results(ours, libraries, WORK, lambda side: side.worked, note)
    wakings: tuple[tuple[str, Kept], ...] = ((START, lambda side: side.starts), (END, lambda side: side.ends))
    for name, wakes in wakings:
        yield Result(
            row=15,
            name=name,
            unit="ms",
            rounds=wakes(ours),
            beside={library.name: wakes(library) for library in libraries},
            note="with an idle worker; as each library offers it; those that poll ask once or twice a second",
        )
    idlings: tuple[tuple[str, str, Kept], ...] = (
        (IDLE_PROCESSOR, "% of a core", lambda side: side.idles),
        (IDLE_TRANSACTIONS, "transactions/s", lambda side: side.transactions),
    )
    for name, unit, idle in idlings:
        yield Result(
            row=15,
            name=name,
            unit=unit,
            rounds=idle(ours),
            beside={library.name: idle(library) for library in libraries},
            note=f"over {idle_seconds:.0f} s, after all before has been counted; the benchmark's own "
            "looks at the counters are among the transactions",
        )


def _work_results(ours: Ours, libraries: list[Library], name: str, work: Work, note: str) -> Iterator[Result]:
    """The rate, and what a job costs all processes together."""
    sides: list[Side] = [ours, *libraries]
    yield Result(
        row=15,
        name=name,
        unit="jobs/s",
        rounds=work(ours).rates,
        beside={library.name: work(library).rates for library in libraries},
        note=note,
    )
    yield Result(
        row=15,
        name=f"{name}: processor a job",
        unit="µs",
        rounds=work(ours).costs,
        beside={library.name: work(library).costs for library in libraries},
        note="; ".join(f"{side.name}: {work(side).parts(side.kinds)}" for side in sides),
    )
