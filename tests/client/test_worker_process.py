"""A worker as a program of its own, whose event loop is held by a handler that nothing can end."""

import asyncio
import sys
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient
from tests.service_process import ROOT

PROGRAM = """
import asyncio, logging, sys, threading
from jobtrack_client import AsyncJobtrackClient, Worker

async def blocks(ctx):
    threading.Event().wait()

async def ignores(ctx):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

logging.basicConfig(format="%(message)s")
url, key, queue, handler = sys.argv[1:]
worker = Worker(
    AsyncJobtrackClient(url, key),
    types={"work": globals()[handler]},
    queues=[queue],
    lease_seconds=1,
    max_run_seconds=0.3,
    grace_seconds=0.1,
)
worker.run_until_signal()
"""


@pytest.mark.parametrize("handler", ["blocks", "ignores"])
async def test_a_stuck_program_fails_its_job_says_so_and_ends(
    service: Any, client: AsyncJobtrackClient, queue: str, handler: str
) -> None:
    job = await client.create_job("work", queue=queue, max_attempts=1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, service.url, service.api_key, queue, handler),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    failed = await client.get_job(job["id"])
    assert failed["error"] is not None
    assert (failed["status"], failed["error"]["code"]) == ("failed", "run_too_long")
    assert process.returncode == 1
    assert (b"no place is left" if handler == "blocks" else b"all 1 places are lost") in said
