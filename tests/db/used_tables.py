"""Tables of any size, and every call of the service for a batch of what is in them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from app.db import (
    aged,
    checkpoints,
    claimable,
    claimed_items,
    claims,
    create,
    deletions,
    depths,
    documents,
    events,
    feed_lag,
    held_claims,
    idempotency,
    inputs,
    item_copies,
    item_errors,
    item_keys,
    item_pages,
    items,
    job_lists,
    jobs,
    key_lookups,
    limits,
    logs,
    overdue,
    queue_names,
    released_uploads,
    repairs,
    reports,
    surplus_keys,
    sweeps,
    transitions,
    waiting,
    workers,
)
from app.db.connection import Connection
from app.db.documents import DocumentRead
from app.db.sizes import ANY_SIZE
from app.domain.event import Position
from app.domain.ids import new_id
from app.domain.item import Counts, ItemStatus
from app.domain.job import ClaimFilter, CreateRequest, JobRef, NewJob, SeenVersion
from app.domain.job_filter import JobFilter
from app.domain.principal import KeyRef
from app.domain.queue import Keeping
from app.domain.states import LIVE, JobEvent, JobState
from tests.db.used_copies import use_copies

Move = Callable[[Connection, JobEvent, Sequence[transitions.Move]], Awaitable[list[transitions.Moved]]]
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
                      completed_at, token, expires_at, original_job_id, expected_end_at)
    SELECT '{project}', gen_random_uuid(), 'work', CASE WHEN n % 200 = 0 THEN 'q1' ELSE 'q' || 2 + n % 2 END,
           '{state}', 0, 1, 3, 1, 2, 600, '{{}}', 1, 0, 0, 0, 0, 0, now(), now(), now(), now() - interval '1 hour',
           CASE WHEN '{state}' = 'completed' THEN now() - interval '1 hour' END, gen_random_uuid(),
           now() + interval '1 day', CASE WHEN n % 500 = 0 THEN '{project}'::uuid END,
           now() + CASE WHEN n % 500 = 0 THEN interval '-1 hour' ELSE interval '1 hour' END
    FROM generate_series(1, {count}) n
"""
OF_HELD = (
    """
    INSERT INTO runs (project_id, job_id, lease_seconds, lease_ends_at, version, progress, items_count, items_processed,
                      items_failed, items_skipped, samples, log_lines, updated_at)
    SELECT project_id, id, 30, now() + interval '30 seconds', 1, 0, 10, 0, 0, 0, '{}', 0, now()
    FROM jobs WHERE state = 'running'
    """,
    """
    INSERT INTO workers (project_id, name, queues, more_queues, more_types, origin, asked_at)
    SELECT project_id, 'worker-' || n, '{q3}', false, false, 'o', now() - interval '2 minutes'
    FROM queues, generate_series(1, 30) n WHERE name = 'q1'
    """,
    "INSERT INTO checkpoints (project_id, job_id, checkpoint) SELECT project_id, job_id, '{}' FROM runs",
    """
    INSERT INTO items (project_id, job_id, position, key, status, error_code, updated_at)
    SELECT project_id, job_id, n, 'file-' || n, CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'queued' END,
           CASE WHEN n % 100 = 0 THEN 'torn' END, now()
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


SMALL = Size(ended=60, running=10 * BATCH, pending=2 * BATCH)
LARGE = Size(ended=14_000, running=4_000, pending=2_000)


async def fill(connection: Connection, size: Size) -> None:
    """Put jobs of each state there, with everything that belongs to them."""
    driver = connection.driver
    await driver.execute(SETTLED.format(project=PROJECT))
    for state, count in (("completed", size.ended), ("running", size.running), ("pending", size.pending)):
        await driver.execute(JOBS.format(project=PROJECT, state=state, count=count))
    for statement in (*OF_HELD, *OF_ALL):
        await driver.execute(f"{statement} ON CONFLICT DO NOTHING")


async def _held(connection: Connection) -> list[reports.HeldToken]:
    """Jobs that are held, those with items first, and their tokens."""
    rows = await connection.driver.fetch("""
        SELECT j.id, j.token FROM jobs j WHERE j.state = 'running'
        ORDER BY (SELECT count(*) FROM items t WHERE t.project_id = j.project_id AND t.job_id = j.id) DESC, j.id
        LIMIT 400
    """)
    return [reports.HeldToken(PROJECT, row[0], row[1]) for row in rows]


async def _ids(connection: Connection, state: JobState) -> list[UUID]:
    rows = await connection.driver.fetch(f"SELECT id FROM jobs WHERE state = '{state}' ORDER BY id LIMIT {BATCH}")
    return [row[0] for row in rows]


async def use(connection: Connection) -> None:
    """Do everything once that the service does with jobs it knows by key, for `BATCH` of them at a time."""
    held = await _held(connection)
    some = [held[n : n + BATCH] for n in range(0, len(held), BATCH)] + [[]] * len(MOVES)
    ended = [JobRef(PROJECT, job_id) for job_id in await _ids(connection, JobState.COMPLETED)]
    waiting = await _ids(connection, JobState.PENDING)
    await _claims(connection, waiting)
    await _reports(connection, some[0])
    await _items(connection, some[0])
    for (event, move), leases in zip(MOVES, some, strict=False):
        await _moves(connection, event, move, leases)
    await _reads(connection, ended)
    await _others(connection, ended)


async def _claims(connection: Connection, waiting: list[UUID]) -> None:
    def slots() -> list[claims.Slot]:
        return [claims.Slot(new_id(), "w", 30) for _ in range(BATCH)]

    every = ClaimFilter(project_id=PROJECT)
    typed = ClaimFilter(project_id=PROJECT, types=("work", "other"))
    by_id = ClaimFilter(project_id=PROJECT, job_ids=tuple(waiting or [new_id()]))
    limited = ClaimFilter(project_id=PROJECT, queues=("q1",))
    await claimable.select_claimable(connection, [every, typed, by_id])
    await claims.claim(connection, by_id, slots())
    await claims.claim(connection, limited, slots(), free=await limits.lock_limited(connection, limited))
    await limits.lock_free(connection, [limits.QueueRef(PROJECT, f"q{n}") for n in range(BATCH)])
    await claims.claim(connection, typed, slots())
    claimed = await claims.claim(connection, every, slots())
    await held_claims.select_still_held(
        connection, [held_claims.HeldClaim(PROJECT, claim.moved.job_id, claim.token) for claim in claimed]
    )


async def _reports(connection: Connection, held: list[reports.HeldToken]) -> None:
    refs = [JobRef(PROJECT, lease.job_id) for lease in held]
    await transitions.lock_in_order(connection, refs)
    await transitions.lock_free(connection, [*refs, JobRef(PROJECT, new_id())])
    await reports.admit(connection, held)
    await checkpoints.upsert(connection, [checkpoints.Checkpoint(PROJECT, lease.job_id, {}) for lease in held])
    await checkpoints.select(connection, refs[0] if refs else JobRef(PROJECT, new_id()))
    for extend in (reports.extend, reports.extend_at_once):
        await extend(
            connection,
            [reports.Heartbeat(project_id=PROJECT, job_id=h.job_id, token=h.token, lease_seconds=30) for h in held],
        )
    for record in (reports.record, reports.record_at_once):
        # The first one writes the run, and so does the second.
        runs = await reports.admit(connection, held)
        assert len(await record(connection, [_run_update(lease, runs[lease.job_id]) for lease in held])) == len(held)


def _run_update(lease: reports.HeldToken, run: reports.Admitted) -> reports.RunUpdate:
    return reports.RunUpdate(
        project_id=PROJECT,
        job_id=lease.job_id,
        token=lease.token,
        seen_version=run.version,
        lease_seconds=30,
        stage="s",
        progress=1.0,
        message=None,
        declared_total=None,
        items_count=20,
        counts=Counts(20),
        eta=None,
        samples=reports.array_text(()),
        log_lines=1,
        progressed=True,
    )


def _update(job_id: UUID, key: str) -> items.ItemRow:
    return items.ItemRow(
        project_id=PROJECT,
        job_id=job_id,
        base=3000,
        key=key,
        status=ItemStatus.COMPLETED,
        name=None,
        uri=None,
        stage=None,
        message=None,
        error_code=None,
        error_message=None,
        skip_reason=None,
        size_bytes=None,
        result=None,
    )


async def _items(connection: Connection, held: list[reports.HeldToken]) -> None:
    """The first has three thousand items where there are many; half of what is said of it is new."""
    job_id = held[0].job_id if held else new_id()
    other_id = held[2].job_id if held else new_id()
    updates = [_update(job_id, f"{'file' if n % 2 else 'new'}-{n}") for n in range(BATCH)]
    await items.apply_updates(connection, updates)
    await item_pages.select_window(
        connection, JobRef(PROJECT, job_id), after=10, window=BATCH, limit=BATCH, max_size=ANY_SIZE
    )
    other = JobRef(PROJECT, other_id)
    ref = JobRef(PROJECT, job_id)
    await item_pages.select_window(
        connection, ref, after=10, window=BATCH, limit=BATCH, max_size=ANY_SIZE, codes=["torn"]
    )
    await item_errors.count_with_codes(connection, ref, frozenset({"torn"}), window=BATCH)
    await item_errors.select_by_code(connection, ref, window=BATCH, limit=50)
    await item_pages.select_by_offset(connection, other, ItemStatus.QUEUED, offset=2, limit=5, max_size=ANY_SIZE)
    await item_pages.count(connection, PROJECT, job_id)
    await claimed_items.select_unfinished(
        connection,
        PROJECT,
        [lease.job_id for lease in held[:3]] or [new_id()],
        window=BATCH,
        limit=BATCH,
        max_size=ANY_SIZE,
    )
    await use_copies(connection, JobRef(PROJECT, job_id), BATCH)
    await item_keys.select_by_key(connection, PROJECT, [lease.job_id for lease in held], "file-7")


MOVES = [
    *((event, transitions.move) for event in transitions.MOVES),
    *((event, transitions.move_at_once) for event in transitions.MOVES_AT_ONCE),
]


async def _moves(connection: Connection, event: JobEvent, move: Move, held: list[reports.HeldToken]) -> None:
    for change in ("UPDATE runs SET lease_ends_at = now() WHERE job_id", "UPDATE jobs SET expires_at = now() WHERE id"):
        await connection.driver.execute(f"{change} = ANY ($1)", [lease.job_id for lease in held])
    moves = [transitions.Move(project_id=PROJECT, job_id=lease.job_id, token=lease.token) for lease in held]
    assert len(await move(connection, event, moves)) == len(moves)


async def _reads(connection: Connection, ended: list[JobRef]) -> None:
    await jobs.select_by_ids(connection, ended)
    await jobs.select_with_documents(connection, ended)
    await documents.select(
        connection, [DocumentRead(1, place, *ref, True, True, True, ANY_SIZE) for place, ref in enumerate(ended)]
    )
    await jobs.select_fences(connection, ended)
    await jobs.select_changed(connection, [SeenVersion(ref) for ref in ended])
    await jobs.select_live_rerun(connection, JobRef(PROJECT, PROJECT))
    for job_filter in (
        JobFilter(),
        JobFilter(states=frozenset({JobState.RUNNING})),
        JobFilter(states=LIVE, types=frozenset({"work"}), queues=frozenset({"q2"})),
        JobFilter(labels=(("team", "team-7"),)),
        JobFilter(original_job_id=PROJECT),
    ):
        await job_lists.select_page(connection, PROJECT, job_filter, before=None, window=BATCH, limit=BATCH)
        await job_lists.select_ids(connection, PROJECT, job_filter, before=None, window=BATCH, limit=BATCH)
    await feed_lag.select_holder(connection, (await feed_lag.select(connection)).oldest)
    await events.select_feed(connection, {PROJECT: Position(0, 0)}, BATCH)
    key = ended[0] if ended else JobRef(PROJECT, new_id())
    await events.select_of_job(connection, *key, after=0, limit=BATCH, max_size=ANY_SIZE)
    await events.select_last_of_job(connection, *key)
    await logs.select_page(connection, key, offset=0, window=BATCH, limit=BATCH, max_size=ANY_SIZE)
    await inputs.select_of_job(connection, key)
    await key_lookups.select_by_digests(connection, [b"nobody's"] * BATCH)
    await key_lookups.select_valid(connection, [KeyRef(PROJECT, f"nobody-{n}") for n in range(BATCH)])


async def _others(connection: Connection, ended: list[JobRef]) -> None:
    records = [
        idempotency.CreationRecord(
            project_id=PROJECT, route="r", key=str(ref.job_id), fingerprint=b"", job_id=ref.job_id
        )
        for ref in ended
    ]
    await idempotency.reserve(connection, records)
    await idempotency.select_creations(connection, [record.record_key for record in records])
    await idempotency.select(connection, [record.record_key for record in records])
    await idempotency.forget(connection, records)
    requests = [CreateRequest(PROJECT, NewJob(id=new_id(), type="t", queue=f"q{n % 20}")) for n in range(BATCH)]
    await create.insert(connection, requests)
    known = [CreateRequest(PROJECT, NewJob(id=new_id(), type="t", queue=f"q{n % 20}")) for n in range(BATCH)]
    assert len(await create.insert_into_known_queues(connection, known)) == BATCH
    await item_copies.set_items_total(connection, JobRef(PROJECT, requests[0].job.id), 1)
    await repairs.select_jobs(connection, repairs.Repair("r", JobRef(PROJECT, UUID(int=0))), BATCH)
    await repairs.mend_deadlines(connection, ended)
    await deletions.delete(connection, ended)
    await deletions.prune(connection, jobs=BATCH, rows=1000)
    await aged.select_by_rule(connection, BATCH)
    await aged.walk(connection, aged.NO_LANE, Keeping(60, 60), lanes=BATCH, limit=BATCH)
    await deletions.prune_idempotency(connection, age=timedelta(0), limit=BATCH)
    now = await connection.driver.fetchval("SELECT statement_timestamp()")
    await surplus_keys.count(connection, before=now, limit=BATCH)
    await surplus_keys.forget(connection, PROJECT, than=now, limit=BATCH)
    await inputs.drop_sensitive(connection, BATCH)
    await released_uploads.release(connection, JobRef(PROJECT, new_id()))
    await released_uploads.remove(connection, BATCH)
    await depths.select_rates(connection, PROJECT, ["q0", "q1"], job_lists.HIGHEST)
    await depths.select_depths_of(connection, PROJECT, ["q0", "q1"])
    await waiting.select_facts(connection, PROJECT, [*await _ids(connection, JobState.PENDING), new_id()])
    asked = [workers.Asked(PROJECT, f"worker-{n}", ["q2"], None, False, False, None, 0) for n in range(BATCH)]
    await workers.write(connection, "origin", asked)
    await workers.drop_surplus(connection, [PROJECT])
    await workers.drop_aged(connection, age_seconds=90, limit=BATCH)
    await workers.select_page(connection, PROJECT, after="", limit=BATCH)
    names = [queue_names.QueueName(PROJECT, f"q{n}") for n in range(BATCH)]
    await queue_names.select_known(connection, names)
    await queue_names.count(connection, [PROJECT], most=10_000)
    await queue_names.look(connection, queue_names.NO_QUEUE, limit=BATCH, age_seconds=0)
    await queue_names.forget(connection, names)
    await sweeps.look(connection, BATCH)
    await overdue.mark(connection, ended)
    await sweeps.grant_grace(connection, None, late_seconds=-1)
