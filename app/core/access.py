"""What a caller may see and use, and for how long."""

from app.domain.errors import ForbiddenError, NotFoundError, UnauthorizedError
from app.domain.job import Job


def no_such_job() -> NotFoundError:
    """Return the one error for unknown jobs and other projects' jobs alike."""
    return NotFoundError("There is no such job.")


def key_ended() -> UnauthorizedError:
    """Return the error for a key that has ended while its call was held open."""
    return UnauthorizedError("This API key is not valid any more.")


def check_queue(job: Job, queues: frozenset[str] | None) -> None:
    """Refuse a job of a queue that the caller's key may not use. None allows all queues."""
    if queues is not None and job.queue not in queues:
        raise ForbiddenError("The key may not use this queue.")
