"""Workers' calls that come again under their Idempotency-Key: after the first one, or beside it in one batch."""

from collections.abc import Container, Sequence

from app.core.batches.idempotency import job_deleted_error, key_of, reused_key_error
from app.db import idempotency, jobs
from app.db.connection import Connection
from app.db.idempotency import RecordKey
from app.db.jobs import Fence
from app.domain.errors import JobtrackError
from app.domain.job import Lease
from app.domain.states import LEASED
from app.domain.worker_call import Ended, Replayed, Report, Reported, WorkerCall, WorkerOutcome
from app.live.outcomes import Deferred, Outcome


async def find_replays(
    connection: Connection, calls: Sequence[WorkerCall], answered: Container[int]
) -> dict[int, Outcome[WorkerOutcome]]:
    """Return the outcomes of the calls that were made before under the same key."""
    keyed = {n: call.idempotency for n, call in enumerate(calls) if call.idempotency and n not in answered}
    if not keyed:
        return {}
    records = await idempotency.select(connection, [key_of(calls[n].project_id, key) for n, key in keyed.items()])
    if not records:
        return {}
    refs = list({calls[n].job_ref for n in keyed})
    current, fences = await jobs.select_by_ids(connection, refs), await jobs.select_fences(connection, refs)
    answers: dict[int, Outcome[WorkerOutcome]] = {}
    for n, key in keyed.items():
        call, record = calls[n], records.get(key_of(calls[n].project_id, key))
        if record is None:
            continue
        job = current.get(call.job_ref)
        if record.fingerprint != key.fingerprint:
            answers[n] = reused_key_error()
        elif job is None:
            answers[n] = job_deleted_error()
        elif isinstance(call, Report):
            answers[n] = Replayed(Reported(job.state, _rest_of_lease(call, fences[call.job_ref])))
        else:
            answers[n] = Replayed(Ended(job, job.worker))
    return answers


def _rest_of_lease(call: Report, fence: Fence) -> Lease:
    """Return what is left of the lease that a report has extended: nothing if it was lost or given back since."""
    held = fence.token == call.token and fence.state in LEASED
    return Lease(call.token, fence.lease_left if held else 0.0)


def find_repeats(calls: Sequence[WorkerCall], answered: Container[int]) -> dict[int, int]:
    """Return the calls whose key comes earlier in the same batch, each with the position of the first."""
    first: dict[RecordKey, int] = {}
    repeats: dict[int, int] = {}
    for n, call in enumerate(calls):
        if call.idempotency is not None and n not in answered:
            earlier = first.setdefault(key_of(call.project_id, call.idempotency), n)
            if earlier != n:
                repeats[n] = earlier
    return repeats


def repeat_outcome(first: WorkerCall, repeat: WorkerCall, outcome: Outcome[WorkerOutcome]) -> Outcome[WorkerOutcome]:
    """Return the outcome of a call whose key comes earlier in the same batch."""
    if isinstance(outcome, Deferred):
        return outcome
    is_same = first.idempotency == repeat.idempotency
    if isinstance(outcome, JobtrackError):
        # Refused, which leaves its key free: another request under it has its own turn, with the next batch.
        return outcome if is_same else Deferred.BUSY
    if not is_same:
        return reused_key_error()
    return Replayed(outcome) if isinstance(outcome, Reported | Ended) else outcome
