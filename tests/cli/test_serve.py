"""`jobtrack serve` as a real process: the embedded database, the key, the demo, and above all the end."""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.live.collector import THRESHOLDS
from tests.cli.serving import gone, said, serve
from tests.conftest import StartService
from tests.service_process import ROOT, ServiceProcess

OPEN_WAITS = 500
GONE_SECONDS = 5.0


async def hold(client: httpx.AsyncClient, count: int) -> list[asyncio.Task[httpx.Response]]:
    """So many open waits for one job that nobody works."""
    job_id = (await client.post("/v1/jobs", json={"type": "held"})).json()["id"]
    waits = [asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 50})) for _ in range(count)]
    # Each process tells its own, and any of them may answer.
    held: dict[str, float] = {}
    async with asyncio.timeout(40):
        while sum(held.values()) < count:
            # A connection of its own each time: one that is kept belongs to one process.
            answer = await client.get("/metrics", headers={"Connection": "close"})
            found = re.search(r'jobtrack_open_waits{process="(\d+)"} (\S+)', answer.text)
            assert found
            held[found[1]] = float(found[2])
    assert not any(wait.done() for wait in waits)
    return waits


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.long), "2"])
async def test_sigterm_answers_every_open_wait_and_the_process_goes(start_service: StartService, workers: str) -> None:
    service = await start_service(JOBTRACK_WORKERS=workers)
    async with httpx.AsyncClient(
        base_url=service.url,
        headers={"Authorization": f"Bearer {service.api_key}"},
        limits=httpx.Limits(max_connections=None),
        timeout=60,
    ) as client:
        waits = await hold(client, OPEN_WAITS)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*waits)
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["status"] for answer in answers} == {"pending"}
        assert await gone(service.process, GONE_SECONDS) == 0
        assert time.monotonic() - began < GONE_SECONDS


async def test_client_that_does_not_read_holds_the_end_up_no_longer_than_promised(start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as client:
        job_id = (await client.post("/v1/jobs", json={"type": "t"})).json()["id"]
        # More than the buffers of both sockets take.
        assert (await client.put(f"/v1/jobs/{job_id}/input", content=bytes(32 * 2**20))).status_code == 201
        waiting = (await hold(client, 1))[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, limit=1024)
        head = f"GET /v1/jobs/{job_id}/input HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.api_key}\r\n\r\n"
        writer.write(head.encode())
        assert b" 200 " in await reader.readline()
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert (await waiting).status_code == 200
        await gone(service.process, 2 * GONE_SECONDS)
        assert time.monotonic() - began < GONE_SECONDS
        writer.transport.abort()


async def test_ctrl_c_ends_with_a_friendly_line_and_0(start_service: StartService) -> None:
    service = await start_service()
    service.process.send_signal(signal.SIGINT)
    assert await gone(service.process, GONE_SECONDS) == 0
    said = service.log.read_text()
    assert said.endswith("Jobtrack has stopped.\n")
    assert "Traceback" not in said


async def test_a_dead_serving_process_is_replaced(start_service: StartService) -> None:
    service = await start_service(JOBTRACK_WORKERS="2")
    # A child answers before its parent has noticed; one that dies until then is a start that failed.
    async with asyncio.timeout(20):
        while service.url not in service.log.read_text():
            await asyncio.sleep(0.05)
    parent = psutil.Process(service.process.pid)
    before = {child.pid for child in parent.children()}
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    end = time.monotonic() + 20
    while time.monotonic() < end and len({child.pid for child in parent.children()} - before) != 1:
        await asyncio.sleep(0.05)
    assert len({child.pid for child in parent.children()} - before) == 1
    # Ready again as at the start: what was on its way to the dead one is cut.
    await service.ready()


TELL_OF_COLLECTOR = """
import gc, json, os, pathlib, signal

def tell(*_):
    told = {"threshold": gc.get_threshold(), "callbacks": len(gc.callbacks), "frozen": gc.get_freeze_count()}
    path = pathlib.Path(__file__).parent / str(os.getpid())
    path.with_suffix(".new").write_text(json.dumps(told))
    path.with_suffix(".new").rename(path)

signal.signal(signal.SIGUSR1, tell)
"""


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.long)])
async def test_each_serving_process_decides_when_it_collects_garbage(
    start_service: StartService, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELL_OF_COLLECTOR)
    service = await start_service(JOBTRACK_WORKERS=workers, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    # Any of several answers when the others still start; by then all are meant to be up.
    async with asyncio.timeout(20):
        while service.url not in service.log.read_text():
            await asyncio.sleep(0.05)
    parent = psutil.Process(service.process.pid)
    serving = [parent] if workers == "1" else parent.children()
    assert len(serving) == int(workers)
    for process in serving:
        told: dict[str, Any] = {}
        # One that still starts has not set anything.
        async with asyncio.timeout(20):
            while not told.get("callbacks"):
                process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(0.05)
                with contextlib.suppress(FileNotFoundError):
                    told = json.loads((tmp_path / str(process.pid)).read_text())
        assert tuple(told["threshold"]) == THRESHOLDS
        assert told["frozen"] > 100_000, "what start-up has made is no work for a collection"
    service.process.send_signal(signal.SIGTERM)
    assert await gone(service.process, GONE_SECONDS) == 0


async def test_the_demo_runs_over_a_small_folder(service: ServiceProcess, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "notes.txt").write_text("A worker holds the lease of a job. " * 50)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app.cli", "demo", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "JOBTRACK_URL": service.url,
            "JOBTRACK_API_KEY": service.api_key,
            "JOBTRACK_DATA_DIR": str(tmp_path / "data"),
        },
    )
    assert done.returncode == 0, done.stderr
    submitted = re.match(r"Submitted job (\S+)\n", done.stdout)
    assert submitted
    assert f"{submitted[1]} completed_with_failures (2 of 2, 1 failed)" in done.stdout
    files = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", re.findall(r"Its files: +(curl .*)", done.stdout)[0]],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "JOBTRACK_API_KEY": service.api_key},
    )
    assert {item["key"] for item in json.loads(files.stdout)["items"]} == {"notes.txt", "broken.pdf"}
    assert f"jobtrack jobs rerun {submitted[1]} --only-failed-items" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Open        {service.url}/ui/jobs/{submitted[1]}", (
        "one address to open is the last line"
    )


async def test_the_demo_ends_when_the_service_has_gone_without_a_word(service: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("A worker holds the lease of a job. ")
    reached = {"JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key, "JOBTRACK_DATA_DIR": str(tmp_path)}
    demo = subprocess.Popen(  # noqa: ASYNC220  the test has nothing else to do meanwhile
        [sys.executable, "-m", "app.cli", "demo", "--stay", "--with-input", str(tmp_path)],
        cwd=ROOT, env=os.environ | reached, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert demo.stdin is not None
    assert demo.stdout is not None
    try:
        while not (await asyncio.to_thread(demo.stdout.readline)).startswith(b"Open"):
            assert demo.poll() is None
        # What holds the other end of the pipe is gone, as after a kill.
        demo.stdin.close()
        await gone(demo, 20)
    finally:
        demo.kill()
        demo.stdout.close()
        await gone(demo, 10)


async def test_the_demo_goes_with_the_service(data_dir: Path) -> None:
    async with serve(data_dir, "--port", "0", "--demo") as process:
        shown = await said(data_dir, r"Ctrl-C stops it\.\nOpen +(http://\S+/)\n", process)
        async with httpx.AsyncClient() as browser:
            assert (await browser.get(shown.group(1))).status_code == 200
        await said(data_dir, r"Submitted job (\S+)", process)
    text = (data_dir.parent / f"{data_dir.name}.log").read_text()
    assert "Traceback" not in text
    assert text.endswith("Jobtrack has stopped.\n")
