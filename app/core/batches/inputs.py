"""The input of a job, attached in one transaction with the record of its Idempotency-Key."""

from app.core.access import check_queue, no_such_job
from app.core.batches.idempotency import job_deleted_error, load, store
from app.db import inputs, jobs, released_uploads, transitions
from app.db.connection import Connection
from app.domain.errors import InvalidTransitionError
from app.domain.idempotency import Done, Idempotency
from app.domain.input import StoredInput
from app.domain.job import Job, JobRef
from app.domain.states import CLAIMABLE


async def attach_input(
    connection: Connection, ref: JobRef, stored: StoredInput, queues: frozenset[str] | None, key: Idempotency | None
) -> Done[bool]:
    """Attach a received input to a job that waits for a worker; returns whether it replaced an earlier one."""
    await transitions.lock_in_order(connection, [ref])
    record = await load(connection, ref.project_id, key)
    job = (await jobs.select_by_ids(connection, [ref])).get(ref)
    if record is not None:
        if job is None:
            raise job_deleted_error()
        return Done(record.body, replayed=True)
    if job is None:
        raise no_such_job()
    check_queue(job, queues)
    if job.state not in CLAIMABLE:
        raise unchangeable_error(job)
    await released_uploads.release(connection, ref)
    replaced = await inputs.attach(connection, [(ref, stored)])
    await store(connection, [(ref.project_id, key, replaced)])
    return Done(replaced)


def unchangeable_error(job: Job) -> InvalidTransitionError:
    """Build the error for an input of a job that is held or has ended."""
    sentence = f"The job is {job.state}; its input can only change while it waits for a worker."
    return InvalidTransitionError(sentence, job)
