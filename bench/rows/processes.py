"""Row 14: two serving processes beside one, on the same database, with what the load generator takes of the cores.

The generator shares the cores with what it measures. So each rate stands beside what the same cores would come to by
processor time alone, with the generator on another machine: as many operations as the service and the database can pay
for together, and no more than the service's processes can, a core each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil

from bench.load import generator
from bench.load.connection import Request
from bench.load.throughput import drive
from bench.load.working import Form, work
from bench.meter import Meter, Spent
from bench.result import Result
from bench.rows.workers import READY_PER_SECOND, WORKERS
from bench.service import Service
from bench.session import Session

CONNECTIONS = 64
ONE, TWO = "one process", "two processes"
_WARM_SECONDS = 1.0
_MICROSECONDS = 1_000_000
_FORMS = (Form.ONE, Form.MANY)


@dataclass(slots=True)
class Side:
    """One of the two services, and what its rounds came to."""

    service: Service
    meter: Meter
    processes: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    alone: dict[str, list[float]] = field(default_factory=dict)
    """The rates by processor time, with the generator elsewhere."""
    shares: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    """Microseconds of service, database and generator an operation."""

    def note(self, work: str, operations: int, seconds: float, spent: Spent, generator_cpu: float) -> float:
        """Keep a round; gives its rate."""
        service, database, load = (used / operations for used in (spent.service, spent.database, generator_cpu))
        cores = psutil.cpu_count() or 1
        ceiling = min(self.processes / service, cores / (service + database))
        self.rates.setdefault(work, []).append(operations / seconds)
        self.alone.setdefault(work, []).append(ceiling)
        each = (service * _MICROSECONDS, database * _MICROSECONDS, load * _MICROSECONDS)
        self.shares.setdefault(work, []).append(each)
        return operations / seconds


def measure(session: Session) -> Iterator[Result]:
    live = session.store.running(session.scale.ids)
    requests = [Request("GET", f"/v1/jobs/{job_id}") for job_id in live.ids()]
    postgres, url = session.service.database_pid, session.service.database_url
    with Service(session.folder("two-processes"), database_url=url, workers=2) as two:
        sides = {
            ONE: Side(session.service, Meter(session.service, postgres), 1),
            TWO: Side(two, Meter(two, postgres), 2),
        }
        cases: dict[str, Callable[[], float]] = {}
        for name, side in sides.items():
            cases[f"GET, {name}"] = lambda side=side: _read(session, side, requests)
            for form in _FORMS:
                cases[f"{form}, {name}"] = lambda side=side, form=form: _work(session, side, form)
        for side in sides.values():
            _warm(session, side, requests)
        session.rounds(14, cases, "operations/s")
    for work_name, title in (("GET", "GET of live jobs"), *((form.value, f"Jobs {form}") for form in _FORMS)):
        yield from _results(work_name, title, sides[ONE], sides[TWO])


def _warm(session: Session, side: Side, requests: list[Request]) -> None:
    """Warm a process up: its first second would be made of preparing statements on its connections."""
    port, queue = side.service.port, session.folder("queue").name
    drive(port, requests, connections=CONNECTIONS, seconds=_WARM_SECONDS)
    for form in _FORMS:
        session.store.pending(int(READY_PER_SECOND[form] * _WARM_SECONDS), queue=queue)
        generator.run(work, port, queue, workers=WORKERS, seconds=_WARM_SECONDS, form=form)
    _pause(session, queue)


def _pause(session: Session, queue: str) -> None:
    """What is left of a queue's jobs is not to be there in the next round."""
    session.store.run(f"UPDATE queues SET paused = true WHERE name = '{queue}'")  # noqa: S608 - our own word


def _read(session: Session, side: Side, requests: list[Request]) -> float:
    seconds = session.scale.seconds
    with side.meter.spending() as spent:
        found = drive(side.service.port, requests, connections=CONNECTIONS, seconds=seconds)
    return side.note("GET", found.answers, found.answers / found.per_second, spent, found.cpu)


def _work(session: Session, side: Side, form: Form) -> float:
    seconds, queue = session.scale.seconds, session.folder("queue").name
    session.store.pending(int(READY_PER_SECOND[form] * seconds), queue=queue)
    with side.meter.spending() as spent:
        found = generator.run(work, side.service.port, queue, workers=WORKERS, seconds=seconds, form=form)
    _pause(session, queue)
    return side.note(form.value, found.jobs, found.seconds, spent, found.cpu)


def _results(work_name: str, title: str, one: Side, two: Side) -> Iterator[Result]:
    note = "; ".join(
        f"{name}: {service:.0f} µs of service, {database:.0f} of database, {load:.0f} of generator each"
        for name, side in ((ONE, one), (TWO, two))
        for service, database, load in [_typical(side.shares[work_name])]
    )
    yield Result(
        row=14,
        name=f"{title}, {TWO}",
        unit="/s",
        rounds=two.rates[work_name],
        beside={ONE: one.rates[work_name]},
        note=note,
    )
    yield Result(
        row=14,
        name=f"{title}, {TWO}, by processor time, the generator elsewhere",
        unit="/s",
        rounds=two.alone[work_name],
        beside={ONE: one.alone[work_name]},
    )
    yield Result(
        row=14,
        name=f"Database, {title}, {TWO}",
        unit="µs of processor",
        rounds=[database for _, database, _ in two.shares[work_name]],
        beside={ONE: [database for _, database, _ in one.shares[work_name]]},
    )


def _typical(rounds: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The round in the middle by what it cost in all: parts of several rounds would not add up."""
    return sorted(rounds, key=sum)[len(rounds) // 2]
