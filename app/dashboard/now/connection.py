"""How far a newcomer is: who has connected, and how the newest job goes. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.dashboard.formats import state_name
from app.domain.job import Job
from app.domain.states import CLAIMABLE, TERMINAL, JobState
from app.domain.worker import Worker

MOST_CONNECTED: Final = 3


@dataclass(frozen=True, slots=True)
class Connection:
    """How far a newcomer is."""

    workers: tuple[str, ...]
    """Who asks for what, a sentence each."""
    job: Job | None
    job_sentence: str


def connection_of(workers: Sequence[Worker], job: Job | None) -> Connection:
    """Return who asks for jobs, the last one first, and how the newest job goes."""
    present = sorted((worker for worker in workers if worker.present), key=lambda worker: worker.asked_at, reverse=True)
    asking = tuple(f"Worker {worker.name} asks for {_kinds(worker)}." for worker in present[:MOST_CONNECTED])
    return Connection(asking, job, "" if job is None else _going(job.state))


def _kinds(worker: Worker) -> str:
    kinds = ", ".join(worker.types) if worker.types else "jobs of any type"
    kinds += " and more" if worker.more_types else ""
    if not worker.queues:
        return kinds
    names = ", ".join(worker.queues) + (" and more" if worker.more_queues else "")
    return f"{kinds} in {'queue' if len(worker.queues) == 1 else 'queues'} {names}"


def _going(state: JobState) -> str:
    if state in TERMINAL:
        return f"Your newest job has ended: {state_name(state.value)}."
    return "Your newest job waits for a worker." if state in CLAIMABLE else "Your newest job runs."
