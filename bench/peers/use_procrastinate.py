"""procrastinate: psycopg, a job a statement, workers woken by NOTIFY; who waits for a job asks for its status."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from procrastinate import App, PsycopgConnector
from procrastinate.jobs import Status

from bench.peers.program import CONCURRENCY, POOL_SIZE, Tally, main

POLL_SECONDS = 1.0


class UseProcrastinate:
    package = "procrastinate"
    tables = "procrastinate_jobs, procrastinate_events"
    pace = 3_000

    async def open(self, url: str, tally: Tally) -> None:
        self._app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=POOL_SIZE))
        await self._app.open_async()
        await self._app.schema_manager.apply_schema_async()

        @self._app.task(name="job")
        async def job(n: int) -> None:
            await tally.run(n)

        self._job = job

    async def enqueue(self, n: int) -> int:
        return await self._job.defer_async(n=n)

    async def enqueue_many(self, count: int) -> None:
        await self._job.batch_defer_async(*({"n": -1} for _ in range(count)))

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        running = self._app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)
        worker = asyncio.create_task(running)
        try:
            yield
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker

    async def wait_for_end(self, handle: int) -> None:
        # As its documentation has it: nothing tells of an end.
        while await self._app.job_manager.get_job_status_async(handle) != Status.SUCCEEDED:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main(UseProcrastinate(), Tally())
