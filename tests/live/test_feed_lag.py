"""A transaction that is open anywhere in the cluster holds up the stream of events, and is called by its name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.db.engine import Database
from app.domain.job import JobRef
from app.embedded import EmbeddedPostgres
from app.live import feed_lag
from app.live.feed_lag import FeedLag
from app.web.sse import EventStreamResponse
from tests import factories
from tests.inside_service import serve_inside

LONG = 0.2


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_lag, "LONG_SECONDS", LONG)
    monkeypatch.setattr(feed_lag, "LOOK_SECONDS", 0.05)


@asynccontextmanager
async def open_elsewhere(server: EmbeddedPostgres) -> AsyncIterator[int]:
    """A transaction of another role that has written in another database; yields its session's pid."""
    connection = await asyncpg.connect(server.admin_url, server_settings={"application_name": "nightly load"})
    async with connection.transaction():
        await connection.execute("CREATE TEMPORARY TABLE t (n int)")
        yield connection.get_server_pid()
    await connection.close()


async def looked(lag: FeedLag, *, is_long: bool) -> None:
    async with asyncio.timeout(10):
        await lag.look()
        while lag.is_long is not is_long:
            await asyncio.sleep(0.02)
            await lag.look()


async def test_holder_is_named_once_each_time(database: Database, server: EmbeddedPostgres) -> None:
    lag = FeedLag(database)
    async with database.transaction() as connection:
        project_id = await factories.project(connection)
        job = await factories.job(connection, project_id)
    for _ in range(2):
        with capture_logs() as lines:
            async with open_elsewhere(server) as pid:
                await lag.look()
                assert lag.seconds == 0, "nothing is held up yet"
                await database.write(factories.event, JobRef(project_id, job.id), "job.told")
                await looked(lag, is_long=True)
                begun = lag.seconds
                await lag.look()
                assert lag.seconds > begun
            await looked(lag, is_long=False)
            assert lag.seconds == 0
        (holder,) = [line["holder"] for line in lines if "holder" in line]
        assert f"pid {pid} " in holder
        assert "nightly load" in holder


async def test_lag_is_in_the_metrics_and_in_the_comments_of_the_stream(
    database_url: str, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = EventStreamResponse.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "keep_alive_seconds", LONG)
    async with serve_inside(database_url) as inside, inside.client.stream("GET", "/v1/events") as stream:
        lines = stream.aiter_lines()

        async def until(beginning: str) -> str:
            async with asyncio.timeout(10):
                return await anext(line async for line in lines if line.startswith(beginning))

        async def seconds() -> float:
            text = (await inside.client.get("/metrics")).text
            return float(text.partition("\njobtrack_feed_lag_seconds{")[2].split()[1])

        await until("event: snapshot")
        await until(": still here")
        async with open_elsewhere(server):
            assert (await inside.client.post("/v1/jobs", json={"type": "t"})).status_code == 201
            assert "open transaction" in await until(": held up")
            assert await seconds() >= LONG
        await until("event: job.created")
        await until(": still here")
        assert await seconds() == 0
