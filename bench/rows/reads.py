"""Rows 1 to 4: reading jobs. All cases share their rounds with the bare server and the naive route."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import asyncpg

from bench import database, pgbench
from bench.child import Child
from bench.load import generator, throughput
from bench.load.connection import Request, connect
from bench.load.generator import GeneratorError
from bench.load.loops import open_loop
from bench.load.throughput import drive
from bench.result import Line, Point, Result, Target
from bench.session import Costs, Session, medians, note_each
from bench.store import Jobs

CONNECTIONS = 64
JOBS_A_CALL = 100
BARE = "bare ASGI"
NAIVE = "naive route"
LIVE = "row 1"
TERMINAL, UNCHANGED, MANY, PGBENCH = "terminal", "unchanged", "100 in one call", "pgbench"
_LOCKED_SECONDS = 2.0


def measure(session: Session) -> Iterator[Result | Line]:
    wanted = session.options.rows
    live = session.store.running(session.scale.ids)
    terminal = session.store.completed(session.scale.ids)
    live_reads = _gets(live)
    with contextlib.ExitStack() as stack:
        size = len(session.service.client().get(f"/v1/jobs/{live.id(0)}").raise_for_status().content)
        bare = stack.enter_context(session.baseline("bare_asgi", str(size)))
        naive = stack.enter_context(session.baseline("naive_route", session.service.database_url))
        _require_same_answers(session, naive, live, terminal)
        costs: dict[str, Costs] = {}
        p99: list[float] = []

        def drive_one(name: str, port: int, requests: list[Request]) -> Callable[[], float]:
            return _driven(session, name, port, requests, costs, p99 if name == LIVE else [])

        ours = session.service.port
        cases = {BARE: drive_one(BARE, bare.port, live_reads), LIVE: drive_one(LIVE, ours, live_reads)}
        if wanted & {1, 4}:
            cases[NAIVE] = drive_one(NAIVE, naive.port, live_reads)
        if 1 in wanted and pgbench.program(session.service):
            cases[PGBENCH] = lambda: _pgbench_reads(session, live)
        if 2 in wanted:
            cases[TERMINAL] = drive_one(TERMINAL, ours, _gets(terminal))
        if 3 in wanted:
            _require_no_payload_read(session, live)
            cases[UNCHANGED] = drive_one(UNCHANGED, ours, _gets(live, known=True))
        if 4 in wanted:
            cases[MANY] = drive_one(MANY, ours, _many(live))
        found = session.rounds("1-4", cases, "answers/s")
        yield from _results(session, found, {name: medians(cost) for name, cost in costs.items()}, p99)
        if 1 in wanted:
            yield from _paced(session, live_reads, found[LIVE])
            yield from _plotted(session, {BARE: bare.port, "Jobtrack": ours, NAIVE: naive.port}, live_reads)


def _gets(jobs: Jobs, *, known: bool = False) -> list[Request]:
    # A loaded running job is version 3 with a run of version 1.
    headers = {"If-None-Match": '"4"'} if known else {}
    return [Request("GET", f"/v1/jobs/{job_id}", headers=headers) for job_id in jobs.ids()]


def _many(jobs: Jobs) -> list[Request]:
    ids = jobs.ids()
    chunks = (ids[start : start + JOBS_A_CALL] for start in range(0, len(ids), JOBS_A_CALL))
    return [Request.post("/v1/jobs/wait", {"ids": chunk, "wait": 0}) for chunk in chunks]


def _driven(
    session: Session, name: str, port: int, requests: list[Request], costs: dict[str, Costs], p99: list[float]
) -> Callable[[], float]:
    def drive_once() -> float:
        kept = costs.setdefault(name, {})
        with session.meter.measuring(kept), session.meter.spending() as spent:
            wanted = 304 if name == UNCHANGED else 200
            found = drive(port, requests, connections=CONNECTIONS, seconds=session.scale.seconds, wanted=wanted)
        note_each(kept, spent.microseconds(found.answers), found)
        p99.append(found.p99_ms)
        return found.per_second

    return drive_once


def _results(
    session: Session, found: dict[str, list[float]], costs: dict[str, dict[str, float]], p99: list[float]
) -> Iterator[Result]:
    wanted = session.options.rows
    tool = "wrk" if throughput.has_wrk() else "the asyncio client in a closed loop (wrk is not installed)"
    unit = "requests/s"
    if 1 in wanted:
        beside = {name: found[name] for name in (BARE, NAIVE, PGBENCH) if name in found}
        note = f"by {tool}, {CONNECTIONS} connections"
        yield Result(
            row=1,
            name="GET of live jobs",
            unit=unit,
            rounds=found[LIVE],
            target=Target("at least", 0.34, BARE),
            beside=beside,
            costs=costs[LIVE],
            note=note + ("" if PGBENCH in found else "; without pgbench, which is not installed"),
        )
        yield _goal(1, "GET of live jobs", found[LIVE], found[BARE], 0.40)
        yield Result(
            row=1,
            name="GET of live jobs, p99 at full load",
            unit="ms",
            rounds=p99,
            note=note + ", which all wait for their answers",
        )
    if 2 in wanted:
        yield Result(
            row=2,
            name="GET of terminal jobs",
            unit=unit,
            rounds=found[TERMINAL],
            target=Target("at least", 0.35, BARE),
            beside={BARE: found[BARE], LIVE: found[LIVE]},
            costs=costs[TERMINAL],
        )
        yield _goal(2, "GET of terminal jobs", found[TERMINAL], found[BARE], 0.45)
    if 3 in wanted:
        yield Result(
            row=3,
            name="Unchanged GET",
            unit=unit,
            rounds=found[UNCHANGED],
            target=Target("at least", 1, LIVE),
            beside={LIVE: found[LIVE], BARE: found[BARE]},
            costs=costs[UNCHANGED],
            note="every body empty; answered while payloads and results were locked against reading",
        )
    if 4 in wanted:
        jobs = [calls * JOBS_A_CALL for calls in found[MANY]]
        for baseline, figure in ((NAIVE, 20), (LIVE, 2.5)):
            yield Result(
                row=4,
                name=f"100 jobs in one call, beside {baseline}",
                unit="jobs/s",
                rounds=jobs,
                target=Target("at least", figure, baseline),
                beside={baseline: found[baseline]},
                costs=costs[MANY],
            )


def _goal(row: int, name: str, rounds: list[float], bare: list[float], share: float) -> Result:
    """The same figure beside what it is to become; what it must not fall below is judged apart."""
    target = Target("at least", share, BARE)
    return Result(
        row=row, name=f"{name}: the goal", unit="requests/s", rounds=rounds, target=target, beside={BARE: bare}
    )


def _paced(session: Session, requests: list[Request], found: list[float]) -> Iterator[Result]:
    """The latency at half of what the service can do, by an open loop."""
    rate = sorted(found)[len(found) // 2] / 2
    raw = [request.raw() for request in requests]
    port, seconds = session.service.port, session.scale.seconds
    medians_ms, p99 = [], []
    for _ in range(session.scale.rounds):
        times = generator.run(open_loop, port, raw, rate=rate, count=int(rate * seconds), connections=CONNECTIONS)
        medians_ms.append(times.milliseconds(0.5))
        p99.append(times.milliseconds(0.99))
    session.say(1, f"open loop at {rate:,.0f}/s: p99 {p99[-1]:.1f} ms")
    yield Result(
        row=1,
        name="GET of live jobs, p99 at half load",
        unit="ms",
        rounds=p99,
        target=Target("at most", 15),
        beside={"p50": medians_ms},
        note=f"open loop, {rate:,.0f} requests/s, from when each was due",
    )


def _plotted(session: Session, ports: dict[str, int], requests: list[Request]) -> Iterator[Line]:
    for name, port in ports.items():
        points: dict[str, list[Point]] = {"throughput": [], "latency": []}
        for connections in session.scale.connections:
            rounds = [
                drive(port, requests, connections=connections, seconds=session.scale.seconds)
                for _ in range(min(session.scale.rounds, 3))
            ]
            points["throughput"].append(Point.of(connections, [one.per_second for one in rounds]))
            points["latency"].append(Point.of(connections, [one.p99_ms for one in rounds]))
        for plot, line in points.items():
            if line:
                yield Line(row=1, plot=plot, name=name, points=line)
        if session.scale.connections:
            session.say(1, f"{name} at {', '.join(map(str, session.scale.connections))} connections")


def _pgbench_reads(session: Session, jobs: Jobs) -> float:
    script = f"""
        \\set n random({jobs.first}, {jobs.first + jobs.count - 1})
        SELECT j.*, r.*, p.payload, s.result, s.billing FROM jobs j
        LEFT JOIN runs r ON r.project_id = j.project_id AND r.job_id = j.id
        LEFT JOIN payloads p ON p.project_id = j.project_id AND p.job_id = j.id
        LEFT JOIN results s ON s.project_id = j.project_id AND s.job_id = j.id
        WHERE j.project_id = '{session.store.project}'
          AND j.id = CAST('{jobs.prefix}' || lpad(to_hex(CAST(:n AS bigint)), 12, '0') AS uuid);
    """  # noqa: S608 - of numbers and ids that the benchmark has made
    found = pgbench.transactions_per_second(session.service, script, clients=8, seconds=session.scale.seconds)
    return found or 0.0


def _require_same_answers(session: Session, naive: Child, *loaded: Jobs) -> None:
    """The naive route must do the same work: its answer says of each job what the service's does."""
    with session.service.client() as client:
        for jobs in loaded:
            ours = client.get(f"/v1/jobs/{jobs.id(0)}").json()
            theirs = client.get(f"http://127.0.0.1:{naive.port}/v1/jobs/{jobs.id(0)}").json()
            moments = {name for name in ours if name.endswith("_at")}
            different = {name for name in ours.keys() - moments if ours[name] != theirs.get(name)}
            if different:
                raise GeneratorError(f"the naive route answers otherwise: {', '.join(sorted(different))}")


def _require_no_payload_read(session: Session, jobs: Jobs) -> None:
    """Show that an unchanged GET reads no payload: it is answered while nobody can read the tables of them."""

    async def answered() -> set[tuple[int, bytes]]:
        locker = await asyncpg.connect(session.service.database_url)
        reader = await connect(session.service.port)
        try:
            async with locker.transaction():
                await locker.execute("LOCK TABLE payloads, results IN ACCESS EXCLUSIVE MODE")
                async with asyncio.timeout(_LOCKED_SECONDS):
                    answers = [await reader.call(request.raw()) for request in _gets(jobs, known=True)[:20]]
            return {(answer.status, answer.body) for answer in answers}
        finally:
            reader.close()
            await locker.close()

    said = database.wait_for(answered())
    if said != {(304, b"")}:
        raise GeneratorError(f"an unchanged GET was answered with {sorted(status for status, _ in said)}, or a body")
