"""What the transactions of calls about one job do: cancel and delete."""

from app.core.access import check_queue, no_such_job
from app.core.batches.changes import changes_of
from app.core.batches.idempotency import job_deleted_error, load, store
from app.db import deletions, jobs, transitions
from app.db.connection import Connection
from app.db.transitions import Move
from app.domain.errors import AlreadyTerminalError, InvalidTransitionError
from app.domain.idempotency import Done, Idempotency
from app.domain.job import Job, JobRef
from app.domain.states import JobEvent, JobState
from app.live.change_feed import Change


async def cancel(
    connection: Connection, move: Move, queues: frozenset[str] | None, key: Idempotency | None
) -> tuple[Done[Job], list[Change]]:
    """Cancel a job, at once or by asking its worker; returns the job and the changes to announce."""
    ref = JobRef(move.project_id, move.job_id)
    await transitions.lock_in_order(connection, [ref])
    replayed = await load(connection, ref.project_id, key) is not None
    if queues is not None or replayed:
        job = (await jobs.select_by_ids(connection, [ref])).get(ref)
        if job is not None:
            check_queue(job, queues)
        if replayed:
            return _replayed(job), []
    moved = await transitions.move(connection, JobEvent.CANCEL, [move])
    job = moved[0].job if moved else None
    if job is None:
        job = (await jobs.select_by_ids(connection, [ref])).get(ref)
    if job is None:
        raise no_such_job()
    if job.state not in (JobState.CANCELLED, JobState.CANCELLING):
        raise AlreadyTerminalError(f"The job has ended ({job.state}); it cannot be cancelled any more.", job)
    await store(connection, [(ref.project_id, key, None)])
    return Done(job), changes_of(moved)


def _replayed(job: Job | None) -> Done[Job]:
    if job is None:
        raise job_deleted_error()
    return Done(job, replayed=True)


async def delete(
    connection: Connection, ref: JobRef, queues: frozenset[str] | None, key: Idempotency | None
) -> Done[None]:
    """Delete a job that has ended. Its key is looked up first: the repeat of a delete finds no job."""
    await transitions.lock_in_order(connection, [ref])
    if await load(connection, ref.project_id, key) is not None:
        return Done(None, replayed=True)
    job = (await jobs.select_by_ids(connection, [ref])).get(ref)
    if job is None:
        raise no_such_job()
    check_queue(job, queues)
    if not await deletions.delete(connection, [ref]):
        raise InvalidTransitionError(f"The job is still {job.state}; only an ended job can be deleted.", job)
    await store(connection, [(ref.project_id, key, None)])
    return Done(None)
