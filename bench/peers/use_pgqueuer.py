"""pgqueuer: asyncpg, jobs claimed and ended a hundred in a statement, workers and waiters woken by NOTIFY."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.core.completion import CompletionWatcher
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.peers.program import CONCURRENCY, POOL_SIZE, Tally, main

NAME = "job"


class UsePgQueuer:
    package = "pgqueuer"
    tables = "pgqueuer, pgqueuer_log"
    pace = 20_000

    async def open(self, url: str, tally: Tally) -> None:
        self._url, self._tally = url, tally
        self._driver = AsyncpgPoolDriver(await asyncpg.create_pool(url, min_size=1, max_size=POOL_SIZE))
        self._queries = Queries(self._driver)
        if not await self._queries.schema_is_installed():
            await self._queries.install()
        self._watcher: CompletionWatcher | None = None

    async def enqueue(self, n: int) -> Any:
        [job_id] = await self._queries.enqueue(NAME, str(n).encode())
        return job_id

    async def enqueue_many(self, count: int) -> None:
        await self._queries.enqueue([NAME] * count, [b"-1"] * count, [0] * count)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with asyncpg.create_pool(self._url, min_size=1, max_size=POOL_SIZE) as pool:
            program = PgQueuer.from_asyncpg_pool(pool)

            @program.entrypoint(NAME)
            async def run(job: Job) -> None:
                await self._tally.run(int(job.payload or b"-1"))

            worker = asyncio.create_task(program.run(batch_size=CONCURRENCY))
            try:
                yield
            finally:
                if self._watcher:
                    await self._watcher.__aexit__(None)
                    self._watcher = None
                program.shutdown.set()
                await worker

    async def wait_for_end(self, handle: Any) -> None:
        if self._watcher is None:
            self._watcher = CompletionWatcher(self._driver, queries=self._queries)
            await self._watcher.__aenter__()
        await self._watcher.wait_for(handle)


if __name__ == "__main__":
    main(UsePgQueuer(), Tally())
