"""`jobs why`, `workers list` and pauses with a reason and an end, as people run them."""

import asyncio
import json
import re
import uuid

import httpx
import pytest

from tests.cli.commands import UNKNOWN, reach, run
from tests.cli.in_process import Command, command
from tests.service_process import ServiceProcess

__all__ = ["command"]


@pytest.fixture
def queue() -> str:
    return f"cli-{uuid.uuid4()}"


async def test_why_is_a_sentence(service: ServiceProcess, api: httpx.AsyncClient, queue: str) -> None:
    job = (await api.post("/v1/jobs", json={"type": queue, "queue": queue})).json()
    pause = ("queues", "pause", queue, "--reason", "index rebuilt", "--for", "1h")
    done = await run(*pause, **reach(service))
    fields = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert fields["state"].strip() == "paused", done.stderr
    assert fields["paused"].strip().startswith("by first key, until 2")
    assert fields["paused"].strip().endswith(", index rebuilt")
    done = await run("jobs", "why", job["id"], **reach(service))
    assert (done.returncode, done.stdout[-34:]) == (0, "UTC by key first key: index rebuilt.\n"[-34:])
    said = json.loads((await run("jobs", "why", job["id"], "--json", **reach(service))).stdout)
    assert (said["reason"], said["detail"]) == ("queue_paused", done.stdout.strip())
    assert (await run("jobs", "why", UNKNOWN, **reach(service))).returncode == 4


async def test_setting_a_rule_keeps_the_pause_as_it_is(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str
) -> None:
    until = ("--until", "2100-01-01T00:00:00Z")
    assert (await run("queues", "pause", queue, "--reason", "why", *until, **reach(service))).returncode == 0
    before = (await api.get(f"/v1/queues/{queue}")).json()
    assert (await run("queues", "set", queue, "--concurrency-limit", "3", **reach(service))).returncode == 0
    after = (await api.get(f"/v1/queues/{queue}")).json()
    kept = ("paused", "paused_at", "paused_by", "reason", "until")
    assert [after[name] for name in kept] == [before[name] for name in kept]
    assert (after["until"], after["concurrency_limit"]) == ("2100-01-01T00:00:00.000Z", 3)


@pytest.mark.parametrize(
    "options",
    [("--for", "60s", "--until", "2100-01-01T00:00:00Z"), ("--for", "x"), ("--for", "-1"), ("--for", "999999999w")],
)
async def test_end_that_is_none_is_wrong_usage(queue: str, options: tuple[str, ...]) -> None:
    done = await run("queues", "pause", queue, *options, JOBTRACK_URL="http://127.0.0.1:9", JOBTRACK_API_KEY="x")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr


async def test_workers_are_listed(
    service: ServiceProcess, api: httpx.AsyncClient, queue: str, command: Command
) -> None:
    await api.post("/v1/claims", json={"worker": queue, "queues": ["a", "b"]}, headers={"User-Agent": "x/1"})
    async with asyncio.timeout(60):
        while queue not in (done := await run("workers", "list", **reach(service))).stdout:
            assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith(f"{queue}\t")]
    name, state, held, asked, *rest = line.split("\t")
    assert (name, state, held, rest) == (queue, "present", "0", ["a, b", "any", "x/1"])
    shown = (await asyncio.to_thread(command, "workers", "list", environment=reach(service), columns=200)).out
    [row] = [line for line in shown.splitlines() if line.startswith(queue)]
    assert re.search(r" \d+ (s|m) ago ", row), row
    assert asked[:4] not in row.removeprefix(queue)
