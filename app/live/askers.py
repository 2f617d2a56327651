"""Workers that ask for jobs, as this process hears them: noted in memory, and written in batches by somebody else.

A claim notes when it comes and when it leaves; while it is open it asks all the time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from app.db.workers import Asked
from app.domain.job import ClaimFilter
from app.domain.worker import MOST_NAMES, MOST_WORKERS, PRESENT_SECONDS

WRITE_SECONDS: Final = 10.0
"""Between two writes of one worker."""
MOST_FILTERS: Final = 50
"""Different filters of one worker that are told apart; beyond, it counts as asking for anything."""

_Names: TypeAlias = tuple[str, ...] | None


@dataclass(slots=True)
class Asking:
    """The claims of one worker with one filter."""

    open: int
    at: float
    """When the last of them came or left."""


@dataclass(slots=True)
class _Asker:
    client: str | None = None
    filters: dict[tuple[_Names, _Names], Asking] = field(default_factory=dict)
    written_at: float = float("-inf")
    told_at: float = float("-inf")
    """Up to when it has been written that this worker asked."""


def now() -> float:
    """Return the time by the event loop's clock."""
    return asyncio.get_running_loop().time()


class Askers:
    """The workers that have asked this process within the last minute."""

    def __init__(self) -> None:
        self._projects: dict[UUID, OrderedDict[str, _Asker]] = {}
        self._new: list[tuple[UUID, str]] = []

    def came(self, claim_filter: ClaimFilter, worker: str, client: str | None) -> Asking:
        """Note that a claim came; `left` is to be called with what this returns."""
        workers = self._projects.setdefault(claim_filter.project_id, OrderedDict())
        asker = workers.get(worker)
        if asker is None:
            asker = workers[worker] = _Asker()
            self._new.append((claim_filter.project_id, worker))
            if len(workers) > MOST_WORKERS:
                workers.popitem(last=False)
        workers.move_to_end(worker)
        asker.client = client
        # Jobs that are named by id are no queue and no type: such a claim asks for nothing that others put there.
        names = ((), ()) if claim_filter.job_ids is not None else (claim_filter.queues, claim_filter.types)
        if names not in asker.filters and len(asker.filters) >= MOST_FILTERS:
            names = (None, None)
        asking = asker.filters.setdefault(names, Asking(0, 0.0))
        asking.open += 1
        asking.at = now()
        return asking

    def left(self, asking: Asking) -> None:
        """Note that a claim was answered, or that its client left."""
        asking.open -= 1
        asking.at = now()

    def new(self) -> Iterator[Asked]:
        """Iterate over the workers that came since the last call: nobody else knows of them yet."""
        new, self._new = self._new, []
        return self._asked(new)

    def all(self) -> Iterator[Asked]:
        """Iterate over the workers that have asked since they were last written, and forget the silent ones."""
        self._new = []
        return self._asked([(project_id, name) for project_id, known in self._projects.items() for name in known])

    def _asked(self, keys: list[tuple[UUID, str]]) -> Iterator[Asked]:
        moment = now()
        for project_id, name in keys:
            asker = self._asker(project_id, name)
            if asker is None:
                continue
            for names, asking in list(asker.filters.items()):
                if not asking.open and asking.at < moment - PRESENT_SECONDS:
                    del asker.filters[names]
            if not asker.filters:
                self._forget(project_id, name)
                continue
            asked_at = max(moment if asking.open else asking.at for asking in asker.filters.values())
            if asked_at > asker.told_at and moment - asker.written_at >= WRITE_SECONDS:
                asker.told_at, asker.written_at = asked_at, moment
                yield _described(project_id, name, asker, moment - asked_at)

    def not_written(self, rows: list[Asked]) -> None:
        """Take back that these were written."""
        for each in rows:
            asker = self._asker(each.project_id, each.name)
            if asker is not None:
                asker.told_at = asker.written_at = float("-inf")

    def _asker(self, project_id: UUID, name: str) -> _Asker | None:
        workers = self._projects.get(project_id)
        return None if workers is None else workers.get(name)

    def _forget(self, project_id: UUID, name: str) -> None:
        workers = self._projects[project_id]
        del workers[name]
        if not workers:
            del self._projects[project_id]


def _described(project_id: UUID, name: str, asker: _Asker, silent_seconds: float) -> Asked:
    queues, more_queues = _joined([names for names, _ in asker.filters])
    types, more_types = _joined([names for _, names in asker.filters])
    return Asked(project_id, name, queues, types, more_queues, more_types, asker.client, silent_seconds)


def _joined(lists: list[_Names]) -> tuple[_Names, bool]:
    """Return the names of several filters, any where one of them takes any, and whether there are more than are kept.

    The pairs of queues and types are lost: a worker may seem to take what it does not, never the other way round.
    """
    names: set[str] = set()
    for listed in lists:
        if listed is None:
            return None, False
        names.update(listed)
    return tuple(sorted(names)[:MOST_NAMES]), len(names) > MOST_NAMES
