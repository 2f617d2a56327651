"""Two hundred idle workers and one job: one of them gets it, and the database hardly notices the others."""

import asyncio
from typing import Any

from app.db.statement import Statement
from app.domain.ids import new_id
from app.domain.job import ClaimFilter, NewJob
from app.runtime import Runtime
from app.web.deps import Services
from tests.calls import PROJECT

WORKERS = 200
MOST_CLAIMS = 5
MOST_FIRST_LOOKS = 20
"""Of two hundred workers that come within a few milliseconds."""


class Claims:
    """Counts the claims that reach the database."""

    def __init__(self, runtime: Runtime) -> None:
        self.sent = 0
        runtime.database.on_statement = self._count

    def _count(self, statement: Statement[Any, Any]) -> None:
        self.sent += "claimed AS" in statement.sql


async def test_one_job_costs_a_handful_of_claims(runtime: Runtime, core: Services) -> None:
    claims = Claims(runtime)
    wanted = ClaimFilter(project_id=PROJECT)

    def idle(n: int) -> Any:
        return core.claims.claim(wanted, worker=f"w-{n}", max_jobs=1, lease_seconds=30, wait_seconds=30)

    workers = [asyncio.create_task(idle(n)) for n in range(WORKERS)]
    async with asyncio.timeout(20):
        # All have looked, many of them by one claim, and now they wait.
        while not claims.sent or len(runtime.idle_claims) < WORKERS or core.claims._writers:
            await asyncio.sleep(0.01)
    assert 0 < claims.sent <= MOST_FIRST_LOOKS
    claims.sent = 0
    made = await core.jobs.create(PROJECT, NewJob(id=new_id(), type="t"))
    done, waiting = await asyncio.wait(workers, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    # Two sweeps later nobody else has been sent to look.
    await asyncio.sleep(2.5)
    assert [[one.job.id for one in worker.result().value] for worker in done] == [[made.job.id]]
    assert len(waiting) == WORKERS - 1
    assert not any(worker.done() for worker in waiting)
    assert 0 < claims.sent <= MOST_CLAIMS
    runtime.drain()
    assert [taken.value for taken in await asyncio.gather(*waiting)] == [[]] * (WORKERS - 1)
