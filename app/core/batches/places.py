"""Places in limited queues, for jobs that become held by something else than a claim."""

from collections.abc import Sequence

from app.db import limits
from app.db.connection import Connection
from app.db.limits import FreePlaces, QueueRef
from app.domain.errors import QueueFullError
from app.live.outcomes import Deferred


async def take_places(connection: Connection, queues: Sequence[QueueRef]) -> list[QueueFullError | Deferred | None]:
    """Take a place in the queue of each job, in their order; returns for each why it has none, None if it has one.

    A queue that another transaction has locked is not waited for: a batch holds the calls of many projects.
    """
    free = await limits.lock_free(connection, list(dict.fromkeys(queues)))
    taken: dict[QueueRef, int] = {}
    return [_take(free[queue], queue, taken) if queue in free else None for queue in queues]


def _take(places: FreePlaces | None, queue: QueueRef, taken: dict[QueueRef, int]) -> QueueFullError | Deferred | None:
    if places is None:
        return Deferred.BUSY
    if taken.get(queue, 0) == places.free:
        return QueueFullError(
            f"The queue {queue.name!r} holds as many jobs as its `concurrency_limit` of {places.limit} allows."
        )
    taken[queue] = taken.get(queue, 0) + 1
    return None
