"""Tables of any size, and every call of the service for a batch of what is in them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.db import (
    claims,
    deletions,
    event_feed,
    idempotency,
    inputs,
    items,
    job_lists,
    jobs,
    keys,
    new_jobs,
    queues,
    repairs,
    reports,
    sweeps,
    transitions,
)
from app.db.connection import Connection
from app.domain.history import Position
from app.domain.ids import new_id
from app.domain.item import Counts, ItemStatus, ItemUpdate
from app.domain.job import ClaimFilter, Known, NewJob
from app.domain.job_filter import JobFilter
from app.domain.states import JobEvent, JobState
from app.domain.worker_call import Report

PROJECT = UUID("00000000-0000-0000-0000-000000000001")
BATCH = 40
"""Jobs that a call is about."""

SETTLED = """
    INSERT INTO projects (id, name, created_at) VALUES ('{project}', 'plans', now()) ON CONFLICT DO NOTHING;
    INSERT INTO queues (project_id, name, created_at, updated_at, concurrency_limit)
    SELECT '{project}', 'q' || n, now(), now(), CASE WHEN n = 1 THEN 1000000 END FROM generate_series(0, 3) n
    ON CONFLICT DO NOTHING
"""
JOBS = """
    INSERT INTO jobs (project_id, id, type, queue, state, priority, attempt, max_attempts, retry_delay_seconds,
                      retry_factor, retry_max_delay_seconds, labels, version, progress, items_total, items_processed,
                      items_failed, items_skipped, created_at, updated_at, status_changed_at, scheduled_at,
                      completed_at, token, expires_at, original_job_id)
    SELECT '{project}', gen_random_uuid(), 'work', CASE WHEN n % 200 = 0 THEN 'q1' ELSE 'q' || 2 + n % 2 END,
           '{state}', 0, 1, 3, 1, 2, 600, '{{}}', 1, 0, 0, 0, 0, 0, now(), now(), now(), now() - interval '1 hour',
           CASE WHEN '{state}' = 'completed' THEN now() - interval '1 hour' END, gen_random_uuid(),
           now() + interval '1 day', CASE WHEN n % 500 = 0 THEN '{project}'::uuid END
    FROM generate_series(1, {count}) n
"""
OF_HELD = (
    """
    INSERT INTO runs (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count, items_processed,
                      items_failed, items_skipped, samples, log_lines, updated_at)
    SELECT project_id, id, 30, now() + interval '30 seconds', 1, 0, 10, 0, 0, 0, '{}', 0, now()
    FROM jobs WHERE state = 'running'
    """,
    "INSERT INTO checkpoints (project_id, job_id, checkpoint) SELECT project_id, job_id, '{}' FROM runs",
    """
    INSERT INTO items (project_id, job_id, position, key, status, updated_at)
    SELECT project_id, job_id, n, 'file-' || n, 'queued', now()
    FROM (SELECT project_id, job_id, row_number() OVER (ORDER BY job_id) AS place FROM runs) r,
         generate_series(1, CASE WHEN r.place = 1 THEN 3000 WHEN r.place <= 400 THEN 20 ELSE 0 END) n
    """,
    """
    INSERT INTO job_logs (project_id, job_id, line, at, attempt, level, message)
    SELECT project_id, job_id, 1, now(), 1, 'info', 'm' FROM runs
    """,
)
OF_ALL = (
    "INSERT INTO payloads (project_id, job_id, payload) SELECT project_id, id, '{}' FROM jobs",
    "INSERT INTO results (project_id, job_id, result) SELECT project_id, id, '{}' FROM jobs WHERE state = 'completed'",
    """
    INSERT INTO job_labels (project_id, job_id, name, value)
    SELECT project_id, id, 'team', 'team-' || right(id::text, 1) FROM jobs
    """,
    """
    INSERT INTO events (project_id, job_id, type, at, attempt, to_state)
    SELECT project_id, id, 'job.created', now(), 0, 'pending' FROM jobs
    """,
    """
    INSERT INTO inputs (project_id, job_id, upload_id, content_type, size_bytes, sha256, sensitive, created_at)
    SELECT project_id, id, id, 'text/plain', 1, '', right(id::text, 2) = 'ff', now() FROM jobs
    """,
    """
    INSERT INTO idempotency_records (project_id, route, key, fingerprint, status, job_id, created_at)
    SELECT project_id, 'r', id::text, '', 201, id, now() FROM jobs
    """,
)


@dataclass(frozen=True, slots=True)
class Size:
    """How many jobs there are in which state."""

    ended: int
    running: int
    pending: int


SMALL = Size(ended=60, running=8 * BATCH, pending=2 * BATCH)
LARGE = Size(ended=14_000, running=4_000, pending=2_000)


async def fill(connection: Connection, size: Size) -> None:
    """Put jobs of each state there, with everything that belongs to them."""
    driver = connection.driver
    await driver.execute(SETTLED.format(project=PROJECT))
    for state, count in (("completed", size.ended), ("running", size.running), ("pending", size.pending)):
        await driver.execute(JOBS.format(project=PROJECT, state=state, count=count))
    for statement in (*OF_HELD, *OF_ALL):
        await driver.execute(f"{statement} ON CONFLICT DO NOTHING")


async def _held(connection: Connection) -> list[tuple[UUID, UUID]]:
    """Jobs that are held, those with items first, and their tokens."""
    rows = await connection.driver.fetch("""
        SELECT j.id, j.token FROM jobs j WHERE j.state = 'running'
        ORDER BY (SELECT count(*) FROM items t WHERE t.project_id = j.project_id AND t.job_id = j.id) DESC, j.id
        LIMIT 320
    """)
    return [(row[0], row[1]) for row in rows]


async def _ids(connection: Connection, state: JobState) -> list[UUID]:
    rows = await connection.driver.fetch(f"SELECT id FROM jobs WHERE state = '{state}' ORDER BY id LIMIT {BATCH}")
    return [row[0] for row in rows]


async def use(connection: Connection) -> None:
    """Do everything once that the service does with jobs it knows by key, for `BATCH` of them at a time."""
    held = await _held(connection)
    some = [held[n : n + BATCH] for n in range(0, len(held), BATCH)] + [[]] * 8
    ended = [(PROJECT, job_id) for job_id in await _ids(connection, JobState.COMPLETED)]
    waiting = await _ids(connection, JobState.PENDING)
    await _claims(connection, waiting)
    await _reports(connection, some[0])
    await _items(connection, some[0])
    for number, event in enumerate(one for one in JobEvent if one is not JobEvent.CLAIM):
        await _moves(connection, event, some[number])
    await _reads(connection, ended)
    await _others(connection, ended)


async def _claims(connection: Connection, waiting: list[UUID]) -> None:
    def places() -> list[claims.Place]:
        return [claims.Place(new_id(), "w", 30) for _ in range(BATCH)]

    every = ClaimFilter(project_id=PROJECT)
    by_id = ClaimFilter(project_id=PROJECT, job_ids=tuple(waiting or [new_id()]))
    limited = ClaimFilter(project_id=PROJECT, queues=("q1",))
    await claims.select_offers(connection, [every, by_id])
    await claims.claim(connection, by_id, places())
    await claims.claim(connection, limited, places(), free=await queues.lock_limited(connection, limited))
    taken = await claims.claim(connection, every, places())
    await claims.select_taken(connection, PROJECT, {str(one.moved.job_id): str(one.token) for one in taken})


async def _reports(connection: Connection, held: list[tuple[UUID, UUID]]) -> None:
    keys_of_held = [(PROJECT, job_id) for job_id, _ in held]
    await transitions.lock_in_order(connection, keys_of_held)
    await transitions.lock_free(connection, [*keys_of_held, (PROJECT, new_id())])
    made = [Report(project_id=PROJECT, job_id=job_id, token=token, checkpoint={}) for job_id, token in held]
    await reports.admit(connection, made)
    await reports.upsert_checkpoints(connection, made)
    await reports.record(
        connection,
        [
            reports.RunUpdate(
                project_id=PROJECT,
                job_id=job_id,
                token=token,
                lease_seconds=30,
                bare=False,
                stage="s",
                progress=1.0,
                message=None,
                declared_total=None,
                items_count=20,
                counts=Counts(20),
                eta=None,
                samples=(),
                log_lines=1,
            )
            for job_id, token in held
        ],
    )


async def _items(connection: Connection, held: list[tuple[UUID, UUID]]) -> None:
    """The first has three thousand items where there are many; half of what is said of it is new."""
    job_id = held[0][0] if held else new_id()
    other_id = held[2][0] if held else new_id()
    updates = [ItemUpdate(key=f"{'file' if n % 2 else 'new'}-{n}", status=ItemStatus.COMPLETED) for n in range(BATCH)]
    await items.apply_updates(connection, [items.ItemBatch(PROJECT, job_id, 3000, updates)])
    await items.select_window(connection, PROJECT, job_id, after=10, window=BATCH)
    await items.select_by_offset(connection, PROJECT, other_id, ItemStatus.QUEUED, offset=2, limit=5)
    await items.count(connection, PROJECT, job_id)
    await items.select_by_key(connection, PROJECT, [job_id for job_id, _ in held], "file-7")


async def _moves(connection: Connection, event: JobEvent, held: list[tuple[UUID, UUID]]) -> None:
    for change in ("UPDATE runs SET lease_ends_at = now() WHERE job_id", "UPDATE jobs SET expires_at = now() WHERE id"):
        await connection.driver.execute(f"{change} = ANY ($1)", [job_id for job_id, _ in held])
    await transitions.move(
        connection, event, [transitions.Move(project_id=PROJECT, job_id=job_id, token=token) for job_id, token in held]
    )


async def _reads(connection: Connection, ended: list[tuple[UUID, UUID]]) -> None:
    await jobs.select_by_ids(connection, ended)
    await jobs.select_with_documents(connection, ended)
    await jobs.select_fences(connection, ended)
    await jobs.select_changed(connection, [Known(key) for key in ended])
    await jobs.select_live_rerun(connection, (PROJECT, PROJECT))
    for wanted in (
        JobFilter(),
        JobFilter(states=frozenset({JobState.RUNNING})),
        JobFilter(labels=(("team", "team-7"),)),
        JobFilter(original_job_id=PROJECT),
    ):
        await job_lists.select_page(connection, PROJECT, wanted, before=None, window=BATCH, limit=BATCH)
    await event_feed.select_feed(connection, {PROJECT: Position(0, 0)}, BATCH)
    key = ended[0] if ended else (PROJECT, new_id())
    await event_feed.select_of_job(connection, *key, after=0, limit=BATCH)
    await event_feed.select_logs(connection, *key, offset=0, limit=BATCH)
    await event_feed.select_last_of_job(connection, *key)
    await inputs.select(connection, key)
    await keys.select_by_digest(connection, b"nobody's")


async def _others(connection: Connection, ended: list[tuple[UUID, UUID]]) -> None:
    records = [
        idempotency.Record(project_id=PROJECT, route="r", key=str(job_id), fingerprint=b"", job_id=job_id)
        for _, job_id in ended
    ]
    await idempotency.insert(connection, records)
    await idempotency.select(connection, records)
    await idempotency.select_notes(connection, [(PROJECT, "r", record.key) for record in records])
    made = [new_jobs.Creation(PROJECT, NewJob(id=new_id(), type="t", queue=f"q{n % 20}")) for n in range(BATCH)]
    await new_jobs.insert(connection, made)
    await new_jobs.set_items_total(connection, (PROJECT, made[0].job.id), 1)
    await repairs.select_jobs(connection, repairs.Repair("r", (PROJECT, UUID(int=0))), BATCH)
    await repairs.mend_deadlines(connection, ended)
    await deletions.delete(connection, ended)
    await deletions.prune(connection, jobs=BATCH, rows=1000)
    await deletions.select_aged(connection, BATCH)
    await deletions.prune_idempotency(connection, age=timedelta(0), limit=BATCH)
    await inputs.drop_sensitive(connection, BATCH)
    await queues.select_rates(connection, PROJECT, ["q0", "q1"], job_lists.HIGHEST)
    await sweeps.select_due(connection, BATCH)
