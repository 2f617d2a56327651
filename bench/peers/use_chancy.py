"""chancy: psycopg, claims of many jobs, their ends written once a second by many; a wait asks once a second."""

import contextlib
from collections.abc import AsyncIterator

from chancy import Chancy, Job, Queue, Reference, Worker

from bench.peers.program import CONCURRENCY, POOL_SIZE, Tally, main

TALLY = Tally()


async def run(*, n: int) -> None:
    await TALLY.run(n)


class UseChancy:
    package = "chancy"
    tables = "chancy_jobs"
    pace = 3_000

    async def open(self, url: str, tally: Tally) -> None:
        del tally
        self._chancy = Chancy(url, min_connection_pool_size=1, max_connection_pool_size=POOL_SIZE)
        await self._chancy.__aenter__()
        await self._chancy.migrate()
        executor = "chancy.executors.asyncex.AsyncExecutor"
        await self._chancy.declare(Queue("default", concurrency=CONCURRENCY, executor=executor, eager_polling=True))

    async def enqueue(self, n: int) -> Reference:
        return await self._chancy.push(_job(n))

    async def enqueue_many(self, count: int) -> None:
        async for _ in self._chancy.push_many([_job(-1) for _ in range(count)], batch_size=count):
            pass

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with Worker(self._chancy, register_signal_handlers=False):
            yield

    async def wait_for_end(self, handle: Reference) -> None:
        await self._chancy.wait_for_job(handle)


def _job(n: int) -> Job:
    return Job.from_func(run, queue="default", kwargs={"n": n})


if __name__ == "__main__":
    main(UseChancy(), TALLY)
