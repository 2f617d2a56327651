"""The server between two ticks: it sleeps, and is told to stop."""

import asyncio
import signal
from collections.abc import Callable

import pytest
import uvicorn

from app.cli import server
from app.cli.server import DrainingServer


def sleeping() -> DrainingServer:
    config = uvicorn.Config("nowhere:app", lifespan="off", log_config=None)
    config.encoded_headers = []
    return DrainingServer(config, lambda: None, on_started=lambda: None, before_drain=None)


@pytest.mark.parametrize(
    "stop",
    [lambda one: one.handle_exit(signal.SIGTERM, None), lambda one: one.exit()],
    ids=["by a signal", "by its parent's end"],
)
@pytest.mark.parametrize("when", ["before the loop", "within a tick"])
async def test_server_that_is_told_to_stop_waits_for_no_tick(
    monkeypatch: pytest.MonkeyPatch, stop: Callable[[DrainingServer], None], when: str
) -> None:
    monkeypatch.setattr(server, "TICK_SECONDS", 3600.0)
    one = sleeping()
    if when == "before the loop":
        stop(one)
    running = asyncio.create_task(one.main_loop())
    for _ in range(10):
        await asyncio.sleep(0)
    if when == "within a tick":
        assert not running.done()
        stop(one)
    await asyncio.wait_for(running, 20)
    assert not one.force_exit


async def test_second_signal_forces_the_end() -> None:
    one = sleeping()
    for _ in range(2):
        one.handle_exit(signal.SIGINT, None)
    assert one.force_exit
