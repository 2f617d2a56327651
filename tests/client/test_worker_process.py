"""A worker as a program of its own: one whose event loop nothing can free, and one that may not work."""

import asyncio
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient, Unauthorized, Worker
from tests.client.programs import environment
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


@pytest.mark.parametrize("client_of", ["", "AsyncJobtrackClient(), "], ids=["client found", "client passed"])
async def test_a_program_that_its_key_does_not_let_work_ends_with_one_sentence_and_5(
    service: Any, client: AsyncJobtrackClient, client_of: str
) -> None:
    program = (
        "from jobtrack_client import AsyncJobtrackClient, Worker\n"
        f"Worker({client_of}types={{'work': print}}).run_until_signal()"
    )
    reader = await client.create_key("reader", scopes=["read"])
    missing = f"No key for {service.url}: set JOBTRACK_API_KEY; /nonexistent/api-key cannot be read."
    if client_of:
        missing = f"No API key was sent to {service.url}: pass api_key to the client, or set JOBTRACK_API_KEY."
    hint = f"Set JOBTRACK_API_KEY to a key of the service at {service.url}."
    for key, sentence in (
        ("", re.escape(missing)),
        ("wrong", rf".*\. {re.escape(hint)}"),
        (reader["key"], r"The key lacks the scope `work`\."),
    ):
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
            env={**environment(service), "JOBTRACK_API_KEY": key},
        )
        assert (ended.returncode, ended.stdout) == (5, ""), ended.stderr
        assert re.fullmatch(f"jobtrack: {sentence}\n", ended.stderr), ended.stderr


async def test_inside_another_program_run_raises_it_and_logs_it_at_once(
    service: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncJobtrackClient(service.url, "wrong") as stranger:
        with pytest.raises(Unauthorized) as refused:
            await Worker(stranger, types={"work": print}).run()
    # What another test had logged at info is of no interest here.
    said = [each for each in caplog.records if each.name == "jobtrack_client" and each.levelno > logging.INFO]
    [record] = said
    assert (record.levelname, record.getMessage()) == ("ERROR", f"{str(refused.value).rstrip('.')}; the worker ends")
