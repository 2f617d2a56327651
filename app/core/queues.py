"""Queues: their rules, their depths and their rates."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from app.core import audit
from app.core.batches.idempotency import load, store
from app.core.batches.queue_limit import QueueLimit
from app.db import depths, queue_names, queues
from app.db.connection import Connection
from app.db.engine import Database
from app.db.queue_names import QueueName
from app.domain.audit import Action, Actor
from app.domain.errors import InvalidError, QueueInUseError
from app.domain.field_error import FieldError
from app.domain.idempotency import Done, Idempotency
from app.domain.ids import id_ago
from app.domain.names import queue_name_fault
from app.domain.queue import Depth, Pause, Queue, QueueRules, Rates
from app.domain.states import LIVE

COUNTED_EVERY_SECONDS: Final = 1.0
RATE_CLOCKS_DIFFER_BY: Final = timedelta(minutes=10)
"""Ids come from the service's clock, rates from the database's."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue with its depth and its rates."""

    name: str
    rules: QueueRules
    depth: Depth
    rates: Rates
    row: Queue | None
    """None of a queue for which nothing is set, and whose name no job has used of late."""


class Queues:
    """The queues of all projects; every call but `gauges` names its own."""

    def __init__(self, database: Database, limit: QueueLimit) -> None:
        self._database = database
        self._limit = limit
        self._counted: dict[tuple[UUID, str], Depth] = {}
        self._counted_at = float("-inf")
        self._counting: asyncio.Task[dict[tuple[UUID, str], Depth]] | None = None

    async def page(
        self, project_id: UUID, *, after: str = "", limit: int = 50, part: str = ""
    ) -> tuple[list[QueueView], str | None]:
        """Return queues behind a name whose names hold `part`, in upper or lower case, and the name behind which the
        next page begins, None at the end.
        """
        found = await self._database.slow(project_id).read(
            queues.select_page, project_id, after=after, limit=limit + 1, part=part
        )
        shown = await self._views(project_id, {queue.name: queue for queue in found[:limit]})
        return shown, found[limit - 1].name if len(found) > limit else None

    async def get(self, project_id: UUID, name: str) -> QueueView:
        """Return one queue. One without a row has the defaults."""
        found = await self._database.slow(project_id).read(queues.select_one, project_id, name)
        return await self._view(project_id, name, found)

    async def put(
        self, actor: Actor, name: str, rules: QueueRules, *, idempotency: Idempotency | None = None
    ) -> Done[QueueView]:
        """Set a queue's rules, creating the queue if it is new. They apply to jobs and claims from now on."""
        project_id = actor.principal.project_id
        queue, replayed = await self._database.slow(project_id).write(
            _put, self._limit, actor, name, rules, idempotency
        )
        return Done(await self._view(project_id, name, queue), replayed)

    async def set_paused(
        self, actor: Actor, name: str, pause: Pause | None, *, idempotency: Idempotency | None = None
    ) -> Done[QueueView]:
        """Pause a queue, or resume it where `pause` is None. The sweep wakes idle workers within a second of the
        latter, and of the end of a pause that has one.
        """
        project_id = actor.principal.project_id
        queue, replayed = await self._database.slow(project_id).write(
            _set_paused, self._limit, actor, name, idempotency, pause
        )
        return Done(await self._view(project_id, name, queue), replayed)

    async def delete(self, actor: Actor, name: str, *, idempotency: Idempotency | None = None) -> Done[None]:
        """Forget a queue and its rules; raises QueueInUseError while it has live jobs. Its ended jobs stay."""
        return await self._database.slow(actor.principal.project_id).write(_delete, actor, name, idempotency)

    async def gauges(self) -> dict[tuple[UUID, str], Depth]:
        """Return the depths of all queues that hold live jobs, counted at most once a second."""
        if self._counting is None:
            if asyncio.get_running_loop().time() - self._counted_at < COUNTED_EVERY_SECONDS:
                return self._counted
            # One count for all who ask, who would otherwise wait for a silent database one after the other.
            self._counting = asyncio.create_task(self._count())
            self._counting.add_done_callback(self._seen)
        return await asyncio.shield(self._counting)

    async def _count(self) -> dict[tuple[UUID, str], Depth]:
        self._counted = await self._database.slow(None).read(depths.select_depths)
        self._counted_at = asyncio.get_running_loop().time()
        return self._counted

    def _seen(self, counting: "asyncio.Task[dict[tuple[UUID, str], Depth]]") -> None:
        self._counting = None
        if not counting.cancelled():
            counting.exception()

    async def live_jobs(self, project_id: UUID) -> dict[str, int]:
        """Return the number of a project's live jobs by state, as of at most a second ago."""
        counts = {state.value: 0 for state in sorted(LIVE)}
        for (owner, _), depth in (await self.gauges()).items():
            if owner == project_id:
                for state, count in depth.by_state.items():
                    counts[state.value] += count
        return counts

    async def totals(self) -> dict[tuple[str, str], int]:
        """Return the number of live jobs of all projects together, by queue and state, for the metrics."""
        totals: dict[tuple[str, str], int] = {}
        for (_, name), depth in (await self.gauges()).items():
            for state, count in depth.by_state.items():
                totals[name, state.value] = totals.get((name, state.value), 0) + count
        return totals

    async def _view(self, project_id: UUID, name: str, found: Queue | None) -> QueueView:
        (view,) = await self._views(project_id, {name: found})
        return view

    async def _views(self, project_id: UUID, found: Mapping[str, Queue | None]) -> list[QueueView]:
        if not found:
            return []
        names = list(found)
        since = id_ago(RATE_CLOCKS_DIFFER_BY)
        database = self._database.slow(project_id)
        rates = await database.read(depths.select_rates, project_id, names, since)
        counted = await database.read(depths.select_depths_of, project_id, names)
        return [
            QueueView(name, row.rules if row else QueueRules(), counted.get(name, Depth()), rates[name], row)
            for name, row in found.items()
        ]


async def _put(
    connection: Connection, limit: QueueLimit, actor: Actor, name: str, rules: QueueRules, key: Idempotency | None
) -> Done[Queue | None]:
    project_id = actor.principal.project_id
    before = await queues.lock_one(connection, project_id, name)
    if await load(connection, project_id, key) is not None:
        return Done(await queues.select_one(connection, project_id, name), replayed=True)
    after = await _store(connection, limit, project_id, name, _attributed(rules, before, actor), before)
    audit.record(connection, audit.queue_changed(Action.QUEUES_PUT, actor, before, after))
    await store(connection, [(project_id, key, None)])
    return Done(after)


async def _set_paused(
    connection: Connection, limit: QueueLimit, actor: Actor, name: str, key: Idempotency | None, pause: Pause | None
) -> Done[Queue | None]:
    project_id = actor.principal.project_id
    before = await queues.lock_one(connection, project_id, name)
    if await load(connection, project_id, key) is not None:
        return Done(await queues.select_one(connection, project_id, name), replayed=True)
    after = None
    if before is not None or pause is not None:
        # A queue without a row has the defaults, and a pause is the first rule.
        rules = QueueRules() if before is None else before.rules
        rules = _attributed(replace(rules, paused=pause is not None, pause=pause), before, actor)
        after = await _store(connection, limit, project_id, name, rules, before)
        action = Action.QUEUES_RESUME if pause is None else Action.QUEUES_PAUSE
        audit.record(connection, audit.queue_changed(action, actor, before, after))
    await store(connection, [(project_id, key, None)])
    return Done(after)


def _attributed(rules: QueueRules, before: Queue | None, actor: Actor) -> QueueRules:
    """Return the rules with who paused the queue and when. A pause that stays as it is keeps both: who changes a limit
    has not paused anything.
    """
    if not rules.paused:
        return rules
    known, pause = None if before is None else before.rules.pause, rules.pause or Pause()
    if known is not None and (known.reason, known.until) == (pause.reason, pause.until):
        return replace(rules, pause=known)
    return replace(rules, pause=replace(pause, by=actor.principal.name, at=None if known is None else known.at))


async def _store(
    connection: Connection, limit: QueueLimit, project_id: UUID, name: str, rules: QueueRules, before: Queue | None
) -> Queue:
    if before is None and (fault := queue_name_fault(name)):
        raise InvalidError([FieldError("path:queue", "name", fault)])
    after = await queues.put(connection, project_id, name, rules)
    if before is None:
        await limit.check(connection, [project_id])
    return after


async def _delete(connection: Connection, actor: Actor, name: str, key: Idempotency | None) -> Done[None]:
    project_id = actor.principal.project_id
    before = await queues.lock_one(connection, project_id, name)
    if await load(connection, project_id, key) is not None:
        return Done(None, replayed=True)
    if await queue_names.has_live_job(connection, QueueName(project_id, name)):
        raise QueueInUseError("The queue has live jobs; it can be deleted when they have ended.")
    if before is not None:
        await queue_names.delete(connection, QueueName(project_id, name))
        audit.record(connection, audit.queue_changed(Action.QUEUES_DELETE, actor, before, None))
    await store(connection, [(project_id, key, None)])
    return Done(None)
