"""The connections of a whole service go silent: no call waits for ever, and it serves again by itself."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.core import health
from app.db import deadlines
from app.db.opening import asyncpg_dsn
from tests.inside_service import serve_inside
from tests.races.silent_service import all_calls, until_ready
from tests.service_process import ServiceProcess
from tests.tcp_proxy import Mode, tcp_proxy

BOUND = 30.0
POOL_SIZE = 10
"""As a service has: with four, and deadlines as short as here, slow calls wait too long for each other."""
SILENT = (Mode.BLACKHOLE, Mode.HALF_AN_ANSWER)
BACKENDS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'jobtrack' AND query !~ 'LISTEN|pg_notify'
"""
StartService = Callable[..., Awaitable[ServiceProcess]]


@pytest.fixture
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(deadlines, "UNIT_SECONDS", 1.5)
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.3)


@pytest.mark.parametrize("mode", SILENT)
@pytest.mark.usefixtures("_short_deadlines")
async def test_silent_connections_wedge_nothing(database_url: str, mode: Mode) -> None:
    async with tcp_proxy(database_url) as (proxy, url), serve_inside(url, pool_size=POOL_SIZE) as service:
        before = await all_calls(service.client, times=3, within=BOUND)
        assert {outcome.status for outcome in before} <= {200, 201, 204}, before

        proxy.set_mode(mode)
        during = asyncio.create_task(all_calls(service.client, times=5, within=BOUND))
        await until_ready(service.client, ready=False, within=BOUND)
        assert {outcome.status for outcome in await during} <= {200, 201, 204, 503}

        await until_ready(service.client, ready=True, within=BOUND)
        after = await all_calls(service.client, times=3, within=BOUND)
        assert {outcome.status for outcome in after} <= {200, 201, 204}, after


@pytest.mark.usefixtures("_short_deadlines")
async def test_a_database_that_answers_nobody_is_503_and_served_again_when_it_answers(database_url: str) -> None:
    async with tcp_proxy(database_url) as (proxy, url), serve_inside(url, pool_size=POOL_SIZE) as service:
        await all_calls(service.client, times=1, within=BOUND)
        proxy.set_mode(Mode.BLACKHOLE, new_ones=True)
        await until_ready(service.client, ready=False, within=BOUND)
        assert {outcome.status for outcome in await all_calls(service.client, times=3, within=BOUND)} == {503}
        proxy.set_mode(Mode.PASS)
        await until_ready(service.client, ready=True, within=BOUND)
        after = await all_calls(service.client, times=3, within=BOUND)
        assert {outcome.status for outcome in after} <= {200, 201, 204}, after


@pytest.mark.long
@pytest.mark.parametrize("mode", [*Mode])
async def test_every_call_is_answered_within_ten_seconds_by_a_process_with_the_real_deadlines(
    database_url: str, mode: Mode, room: Path, request: pytest.FixtureRequest
) -> None:
    async with tcp_proxy(database_url) as (proxy, url):
        service = ServiceProcess(url, room / uuid4().hex[:8])
        request.addfinalizer(service.kill)
        await service.ready()
        async with service.client() as client:
            await all_calls(client, times=5, within=10)
            proxy.set_mode(mode)
            for _ in range(3):
                during = await all_calls(client, times=10, within=10)
                assert {outcome.status for outcome in during} <= {200, 201, 204, 503}, during
            await until_ready(client, ready=True, within=BOUND)
            after = await all_calls(client, times=5, within=10)
            assert {outcome.status for outcome in after} <= {200, 201, 204}, after
        assert service.stop() == 0


@pytest.mark.long
async def test_every_call_is_answered_within_ten_seconds_though_all_backends_are_stopped(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service()
    looking = await asyncpg.connect(asyncpg_dsn(database_url))
    async with service.client() as client:
        await all_calls(client, times=5, within=10)
        pids = [row[0] for row in await looking.fetch(BACKENDS)]
        assert pids
        try:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            for _ in range(3):
                during = await all_calls(client, times=10, within=10)
                assert {outcome.status for outcome in during} <= {200, 201, 204, 503}, during
            await until_ready(client, ready=True, within=BOUND)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
    await looking.close()
