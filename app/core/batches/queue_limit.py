"""How many queues a project may have. A name is made by any creation, and stays for an hour at least."""

from collections.abc import Sequence
from time import monotonic
from typing import Final
from uuid import UUID

from app.db import queue_names
from app.db.connection import Connection
from app.db.queue_names import QueueName
from app.domain.errors import TooManyQueuesError

MAX_QUEUES: Final = 10_000
FULL_SECONDS: Final = 10.0
"""How long a project that had no room is looked at before its creations, rather than after them."""


class QueueLimit:
    """Counts a project's queues when it gets new ones. What creates no queue costs nothing.

    The count follows the insertion, under a lock, and one too many undoes the transaction; of a batch that would be one
    transaction for each row. So a project that was found full is remembered, and what it has no room for is refused
    before anything is written.
    """

    def __init__(self, max_queues: int = MAX_QUEUES) -> None:
        self._max_queues = max_queues
        self._full: dict[UUID, float] = {}

    async def select_refused(self, connection: Connection, names: Sequence[QueueName]) -> set[QueueName]:
        """Return the queues that a full project has no room for."""
        now = monotonic()
        self._full = {project_id: until for project_id, until in self._full.items() if until > now}
        doubtful = list(dict.fromkeys(name for name in names if name.project_id in self._full))
        if not doubtful:
            return set()
        known = await queue_names.select_known(connection, doubtful)
        projects = sorted({name.project_id for name in doubtful})
        counted = await queue_names.count(connection, projects, most=self._max_queues)
        refused: set[QueueName] = set()
        for name in doubtful:
            if name in known:
                continue
            counted[name.project_id] += 1
            if counted[name.project_id] > self._max_queues:
                refused.add(name)
        return refused

    async def check(self, connection: Connection, project_ids: Sequence[UUID]) -> None:
        """Check the projects that have got new queues in this transaction; raises TooManyQueuesError."""
        projects = sorted(set(project_ids))
        await queue_names.lock_projects(connection, projects)
        counted = await queue_names.count(connection, projects, most=self._max_queues + 1)
        over = [project_id for project_id, n in counted.items() if n > self._max_queues]
        if over:
            self._full |= dict.fromkeys(over, monotonic() + FULL_SECONDS)
            raise self.error()

    def error(self) -> TooManyQueuesError:
        """Return the error of a queue that would be one too many."""
        return TooManyQueuesError(
            f"The project has {self._max_queues} queues (JOBTRACK_MAX_QUEUES), and this name would be one more. A name "
            "without rules and without jobs is forgotten after an hour, another one by DELETE /v1/queues/{queue}."
        )
