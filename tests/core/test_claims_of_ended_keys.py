"""An open claim takes nothing once its key has ended, whether or not its process has heard of that."""

import asyncio
from typing import Any

import pytest

from app.core.key_admin import NewKey
from app.db.claims import CLAIM_BY_QUEUE
from app.db.keys import revoke
from app.db.statement import Statement
from app.domain.audit import Actor
from app.domain.errors import UnauthorizedError
from app.domain.idempotency import Done
from app.domain.ids import new_id
from app.domain.job import ClaimedJob, ClaimFilter, NewJob
from app.domain.principal import KeyRef, Scope
from app.runtime import Runtime

SECONDS = 20.0


async def test_woken_claim_checks_its_key_and_leaves_the_job_to_the_next(runtime: Runtime) -> None:
    core = runtime.services
    first = await core.keys.install_first(None)
    assert first is not None
    operator = Actor(await core.keys.authenticate(first, "a"))
    project_id = operator.principal.project_id

    async def made() -> KeyRef:
        stored, _ = await core.key_admin.create(operator, NewKey(name="n", scopes=frozenset({Scope.WORK})))
        return KeyRef(project_id, stored.id)

    def claim(key: KeyRef) -> asyncio.Task[Done[list[ClaimedJob]]]:
        claim_filter = ClaimFilter(project_id=project_id)
        return asyncio.create_task(
            core.claims.claim(claim_filter, worker="w", max_jobs=1, lease_seconds=30, wait_seconds=SECONDS, key=key)
        )

    looks: list[Statement[Any, Any]] = []
    runtime.database.on_statement = lambda sent: looks.append(sent) if sent is CLAIM_BY_QUEUE else None

    async def have_looked(count: int) -> None:
        """Wait until so many claims have found nothing."""
        async with asyncio.timeout(SECONDS):
            while len(looks) < count or runtime.claims._writers:
                await asyncio.sleep(0)

    ended, valid = await made(), await made()
    gone = claim(ended)
    await have_looked(1)
    waiting = claim(valid)
    await have_looked(2)
    # Behind the feed's back, and no request holds these claims: only the claim itself can find out.
    async with runtime.database.transaction() as connection:
        await revoke(connection, *ended)
    job = (await core.jobs.create(project_id, NewJob(id=new_id(), type="t"))).job
    with pytest.raises(UnauthorizedError):
        await gone
    [claimed] = (await waiting).value
    assert claimed.job.id == job.id
    events, _ = await core.events.page(project_id, job.id)
    assert [event.type for event in events] == ["job.created", "job.claimed"]
