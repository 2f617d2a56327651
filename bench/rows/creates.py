"""Row 8: creating jobs, each durable before it is answered, one by one and in batches."""

from __future__ import annotations

from collections.abc import Iterator

from bench import pgbench
from bench.baselines import narrow_insert
from bench.load.connection import Request
from bench.load.throughput import drive
from bench.result import Result, Target
from bench.session import Costs, Session, medians, note_each

CONNECTIONS, BATCH_CONNECTIONS = 64, 4
JOBS_A_BATCH = 1_000
SINGLE, BATCHED, PGBENCH = "single", "batched", "pgbench, one row a commit"
NARROW = "narrow rows by unnest"
_DATABASE, _SERVICE = "database µs each", "service µs each"


def measure(session: Session) -> Iterator[Result]:
    costs: dict[str, Costs] = {SINGLE: {}, BATCHED: {}, NARROW: {}}
    job = {"type": "index_folder", "queue": "made", "payload": {"folder": "/data/00000001", "pattern": "*.pdf"}}
    single = [Request.post("/v1/jobs", job)]
    batch = [Request.post("/v1/jobs/batch", {"jobs": [job] * JOBS_A_BATCH})]
    cases = {
        SINGLE: lambda: _create(session, single, CONNECTIONS, 201, costs[SINGLE]),
        BATCHED: lambda: _create(session, batch, BATCH_CONNECTIONS, 200, costs[BATCHED], jobs=JOBS_A_BATCH),
        NARROW: lambda: _narrow(session, costs[NARROW]),
    }
    if pgbench.program(session.service):
        cases[PGBENCH] = lambda: _pgbench_inserts(session)
    found = session.rounds(8, cases, "jobs/s")
    beside = {PGBENCH: found[PGBENCH]} if PGBENCH in found else {}
    for name, title, figure, note in (
        (SINGLE, "Create", 3_500, f"{CONNECTIONS} connections"),
        (BATCHED, f"Create in batches of {JOBS_A_BATCH:,}", 25_000, f"{BATCH_CONNECTIONS} connections"),
    ):
        yield Result(
            row=8,
            name=title,
            unit="jobs/s",
            rounds=found[name],
            target=Target("at least", figure),
            beside=beside,
            costs=medians(costs[name]),
            note=f"{note}; every answer after the commit, fsync on",
        )
    yield Result(
        row=8,
        name=f"Database, a job in batches of {JOBS_A_BATCH:,}",
        unit="µs of processor",
        rounds=costs[BATCHED][_DATABASE],
        target=Target("at most", 3, NARROW),
        beside={NARROW: costs[NARROW][_DATABASE]},
        note=f"beside one `INSERT … SELECT FROM unnest` of {narrow_insert.ROWS:,} narrow rows and their key a commit",
    )
    yield Result(
        row=8,
        name=f"Service, a job in batches of {JOBS_A_BATCH:,}",
        unit="µs of processor",
        rounds=costs[BATCHED][_SERVICE],
        target=Target("at most", 20),
    )


def _create(
    session: Session, requests: list[Request], connections: int, wanted: int, costs: Costs, *, jobs: int = 1
) -> float:
    port, seconds = session.service.port, session.scale.seconds
    with session.meter.measuring(costs), session.meter.spending() as spent:
        found = drive(port, requests, connections=connections, seconds=seconds, wanted=wanted)
    note_each(costs, spent.microseconds(found.answers * jobs))
    return found.per_second * jobs


def _narrow(session: Session, costs: Costs) -> float:
    """The least that a durable row costs this database, without a service."""
    session.store.run(narrow_insert.DROP, narrow_insert.CREATE)
    with session.meter.spending() as spent:
        rows = narrow_insert.insert(session.service.database_url, session.scale.seconds)
    note_each(costs, spent.microseconds(rows))
    session.store.run(narrow_insert.DROP)
    return rows / spent.seconds


def _pgbench_inserts(session: Session) -> float:
    """One row a commit into a table like `jobs`, with its indexes, and nothing else."""
    script = f"""
        INSERT INTO bench_jobs (project_id, id, type, queue, state, priority, attempt, max_attempts,
            retry_delay_seconds, retry_factor, retry_max_delay_seconds, labels, version, progress, items_total,
            items_processed, items_failed, items_skipped, created_at, updated_at, status_changed_at, scheduled_at)
        VALUES ('{session.store.project}', gen_random_uuid(), 'index_folder', 'made', 'pending', 0, 0, 3, 1, 2, 600,
            '{{}}', 1, 0, 0, 0, 0, 0, now(), now(), now(), now());
    """  # noqa: S608 - of an id that the benchmark has read
    session.store.run("DROP TABLE IF EXISTS bench_jobs", "CREATE TABLE bench_jobs (LIKE jobs INCLUDING ALL)")
    seconds = session.scale.seconds
    found = pgbench.transactions_per_second(session.service, script, clients=CONNECTIONS, seconds=seconds)
    session.store.run("DROP TABLE bench_jobs")
    return found or 0.0
