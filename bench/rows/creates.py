"""Row 8: creating jobs, each durable before it is answered, one by one and in batches."""

from __future__ import annotations

from collections.abc import Iterator

from bench import pgbench
from bench.load.connection import Request
from bench.load.throughput import drive
from bench.result import Result, Target
from bench.session import Costs, Session, medians

CONNECTIONS, BATCH_CONNECTIONS = 64, 4
JOBS_A_BATCH = 1_000
SINGLE, BATCHED, PGBENCH = "single", "batched", "pgbench, one row a commit"


def measure(session: Session) -> Iterator[Result]:
    costs: dict[str, Costs] = {SINGLE: {}, BATCHED: {}}
    job = {"type": "index_folder", "queue": "made", "payload": {"folder": "/data/00000001", "pattern": "*.pdf"}}
    single = [Request.post("/v1/jobs", job)]
    batch = [Request.post("/v1/jobs/batch", {"jobs": [job] * JOBS_A_BATCH})]

    def create_single() -> float:
        with session.meter.measuring(costs[SINGLE]):
            return _answers(session, single, CONNECTIONS, 201)

    def create_batches() -> float:
        with session.meter.measuring(costs[BATCHED]):
            return _answers(session, batch, BATCH_CONNECTIONS, 200) * JOBS_A_BATCH

    cases = {SINGLE: create_single, BATCHED: create_batches}
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


def _answers(session: Session, requests: list[Request], connections: int, wanted: int) -> float:
    port, seconds = session.service.port, session.scale.seconds
    return drive(port, requests, connections=connections, seconds=seconds, wanted=wanted).per_second


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
