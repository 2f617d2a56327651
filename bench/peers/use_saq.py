"""saq on its PostgreSQL queue: psycopg, claims of several jobs, workers woken by NOTIFY; a wait asks twice a second."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from psycopg_pool import AsyncConnectionPool
from saq import Job, Worker
from saq.queue.postgres import PostgresQueue

from bench.peers.program import CONCURRENCY, POOL_SIZE, Tally, main

NAME = "job"


class UseSaq:
    package = "saq"
    tables = "saq_jobs"
    pace = 3_000

    async def open(self, url: str, tally: Tally) -> None:
        async def run(context: Any, *, n: int) -> None:
            del context
            await tally.run(n)

        self._functions = [(NAME, run)]
        pool = AsyncConnectionPool(url, min_size=1, max_size=POOL_SIZE, open=False)
        self._queue = PostgresQueue(pool=pool, manage_pool_lifecycle=True)
        await self._queue.connect()

    async def enqueue(self, n: int) -> Job:
        job = await self._queue.enqueue(NAME, n=n)
        assert job is not None
        return job

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        worker = Worker(self._queue, functions=self._functions, concurrency=CONCURRENCY)
        running = asyncio.create_task(worker.start())
        try:
            yield
        finally:
            await worker.stop()
            await running

    async def wait_for_end(self, handle: Job) -> None:
        await handle.refresh(until_complete=0)


if __name__ == "__main__":
    main(UseSaq(), Tally())
