"""`worker module:handlers` as people run it: in a folder, on a terminal, ended by Ctrl-C; by both of its commands."""

import asyncio
import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jobtrack_client import AsyncJobtrackClient
from tests.cli.serving import gone, terminal
from tests.client.programs import environment
from tests.service_process import ServiceProcess

HANDLERS = """
import asyncio, threading
from jobtrack_client import Fail, job

@job("quick")
def quick(ctx):
    return ctx.payload

@job("broken")
def broken(ctx):
    raise Fail("no_disk", "The disk \\x1b[31m is full", retryable=False)

@job("deaf")
def deaf(ctx):
    ctx.report(1, message="began")
    threading.Event().wait()

@job("patient")
async def patient(ctx):
    ctx.report(1, message="began")
    await asyncio.Event().wait()

mapping = {"mapped": quick}
several = [quick, broken]
number = 7
"""
COMMANDS = {"client": ["-m", "jobtrack_client"], "jobtrack": ["-m", "app.cli"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(HANDLERS)
    (tmp_path / "faulty.py").write_text("import nothing_of_this_name\n")
    return tmp_path


class Terminal:
    """A worker on a terminal, and what stands there."""

    def __init__(self, process: subprocess.Popen[bytes], screen: Path) -> None:
        self.process = process
        self._screen = screen

    @property
    def text(self) -> str:
        return self._screen.read_text()

    async def shows(self, pattern: str) -> re.Match[str]:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if found := re.search(pattern, self.text, re.MULTILINE):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"{pattern} is not shown:\n{self.text}")

    async def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


@contextlib.asynccontextmanager
async def on_terminal(
    service: ServiceProcess, folder: Path, *arguments: str, command: str = "client"
) -> AsyncIterator[Terminal]:
    screen = folder / "screen"
    screen.touch()
    with terminal(screen) as line:
        process = subprocess.Popen(  # noqa: ASYNC220  the test has nothing else to do meanwhile
            [sys.executable, *COMMANDS[command], "worker", *arguments],
            cwd=folder, env=environment(service), stdin=line, stdout=line, stderr=line, start_new_session=True,
        )  # fmt: skip
        try:
            yield Terminal(process, screen)
        finally:
            if process.poll() is None:
                process.kill()
            await gone(process, 10)


async def run(folder: Path, *arguments: str, command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, *COMMANDS[command], "worker", *arguments],
        check=False, capture_output=True, text=True, cwd=folder, timeout=60, env=environment() | more,
    )  # fmt: skip


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """Read what a program prints, to the line with a text; nothing for none. Its pipe must be without a buffer."""
    assert process.stdout is not None
    printed = b""
    while text not in printed:
        line = process.stdout.readline()
        assert line, f"it ended without {text!r}: {printed!r}"
        printed += line
    return printed


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_worker_says_what_it_does_and_stops(
    service: ServiceProcess, client: AsyncJobtrackClient, queue: str, folder: Path, command: str
) -> None:
    arguments = ("mine", "--queue", queue, "--name", "me", "--concurrency", "2")
    async with on_terminal(service, folder, *arguments, command=command) as worker:
        await worker.shows(rf"claiming quick, broken, deaf, patient from {queue} at {service.url} as me$")
        quick = await client.create_job("quick", queue=queue, payload={"n": 1})
        await worker.shows(rf"started quick {quick['id'][-8:]}$")
        await worker.shows(rf"finished quick {quick['id'][-8:]} in \d+\.\d s$")
        broken = await client.create_job("broken", queue=queue)
        await worker.shows(rf"failed broken {broken['id'][-8:]} after .* s: no_disk: The disk \\x1b\[31m is full$")
        patient = await client.create_job("patient", queue=queue)
        await worker.shows(rf"started patient {patient['id'][-8:]}$")
        await client.cancel(patient["id"])
        await worker.shows(rf"cancelled patient {patient['id'][-8:]}$")
        await worker.interrupt()
        assert await gone(worker.process, 20) == 0
        assert worker.text.splitlines()[-1].endswith("stopping")
    assert (await client.get_job(quick["id"]))["result"] == {"n": 1}
    assert "httpx" not in worker.text


@pytest.mark.parametrize("kind", ["deaf", "patient"])
async def test_a_second_interrupt_gives_the_jobs_back_at_once(
    service: ServiceProcess, client: AsyncJobtrackClient, queue: str, folder: Path, kind: str
) -> None:
    arguments = ("mine", "--queue", queue, "--grace-seconds", "600", "--lease-seconds", "600")
    async with on_terminal(service, folder, *arguments) as worker:
        job = await client.create_job(kind, queue=queue)
        await worker.shows(rf"started {kind} ")
        while (await client.get_job(job["id"]))["message"] != "began":
            await asyncio.sleep(0.02)
        await worker.interrupt()
        await worker.shows("stopping: 1 job has 600 s; Ctrl-C again gives it back now$")
        assert (await client.get_job(job["id"]))["status"] == "running"
        await worker.interrupt()
        # Far less than the time that the handler has.
        assert await gone(worker.process, 30) == 0
        assert worker.text.splitlines()[-1].endswith(f"gave back {kind} {job['id'][-8:]}")
        assert "abandoned" not in worker.text
        assert "Traceback" not in worker.text
    given_back = await client.get_job(job["id"])
    assert (given_back["status"], given_back["attempt"], given_back["error"]) == ("pending", 0, None)


@pytest.mark.parametrize(
    ("target", "types"),
    [("mine:mapping", "mapped"), ("mine:quick", "quick"), ("mine:several", "quick, broken")],
)
async def test_a_name_is_a_mapping_a_function_or_several(
    service: ServiceProcess, queue: str, folder: Path, target: str, types: str
) -> None:
    async with on_terminal(service, folder, target, "--queue", queue) as worker:
        await worker.shows(rf"claiming {types} from {queue} at ")
        await worker.interrupt()
        assert await gone(worker.process, 20) == 0


async def test_where_no_terminal_is_nothing_is_printed_unless_that_is_requested(
    service: ServiceProcess, client: AsyncJobtrackClient, queue: str, folder: Path
) -> None:
    for option, last, pattern in (
        ("--lease-seconds=30", b"", b"^$"),
        ("--no-quiet", b"finished quick", b"claiming quick.*finished quick.*stopping"),
    ):
        process = subprocess.Popen(  # noqa: ASYNC220  the test has nothing else to do meanwhile
            [sys.executable, "-m", "jobtrack_client", "worker", "mine:quick", "--queue", queue, option],
            cwd=folder, env=environment(service), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
        )  # fmt: skip
        try:
            job = await client.create_job("quick", queue=queue)
            assert (await client.wait(job["id"], timeout=60))["status"] == "completed"
            # Whoever waits may know before the worker does, whose line comes with the answer to its completion.
            printed = await asyncio.to_thread(read_until, process, last)
            process.terminate()
            printed += (await asyncio.to_thread(process.communicate, timeout=20))[0]
        finally:
            process.kill()
        assert process.returncode == 0
        assert re.search(pattern, printed, re.DOTALL), printed


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing_here"], "There is no module 'nothing_here' in this folder or among the installed packages."),
        (["mine.py"], "There is no module 'mine.py' .*: name the module alone, 'mine'."),
        (["json"], "The module 'json' holds no handler: write @job"),
        (["mine:nothing"], "The module 'mine' has no 'nothing'."),
        (["mine:number"], "'mine:number' holds no handler, it is 7."),
        (["./mine"], "'./mine' is not the name of a module"),
        (["mine", "--concurrency", "0", "--url", "http://127.0.0.1:1"], "concurrency is the number .* not 0."),
        (["mine", "--concurrency", "many"], "argument --concurrency: invalid int value: 'many'."),
        ([], "the following arguments are required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_a_wrong_word_is_one_sentence_and_2(
    folder: Path, command: str, arguments: list[str], sentence: str
) -> None:
    done = await run(folder, *arguments, command=command, JOBTRACK_API_KEY="k")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert re.match(f"jobtrack: {sentence}", done.stderr)


async def test_a_module_with_a_fault_of_its_own_shows_where(folder: Path) -> None:
    done = await run(folder, "faulty", command="client", JOBTRACK_API_KEY="k")
    assert done.returncode == 2
    assert 'faulty.py", line 1' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("jobtrack: The module 'faulty' could not be imported: ")


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_key_that_is_missing_or_refused_is_one_sentence_and_5(
    service: ServiceProcess, folder: Path, command: str
) -> None:
    missing = await run(folder, "mine", command=command, JOBTRACK_URL=service.url)
    wrong = await run(folder, "mine", command=command, JOBTRACK_URL=service.url, JOBTRACK_API_KEY="wrong")
    assert missing.stderr == (
        f"jobtrack: No key for {service.url}: set JOBTRACK_API_KEY; /nonexistent/api-key cannot be read.\n"
    )
    for done in (missing, wrong):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1), done.stderr
        assert "JOBTRACK_API_KEY" in done.stderr
    assert wrong.stderr.endswith(f" Set JOBTRACK_API_KEY to a key of the service at {service.url}.\n")


async def test_an_absent_service_is_one_line_until_it_answers(
    start_service: Callable[..., Any], folder: Path, queue: str
) -> None:
    service = await start_service()
    async with on_terminal(service, folder, "mine:quick", "--queue", queue) as worker:
        await worker.shows("claiming quick")
        await asyncio.to_thread(service.stop)
        await worker.shows(f"Jobtrack at {service.url}.*; trying again$")
        service.start()
        await service.ready()
        await worker.shows(f"Jobtrack at {service.url} answers again$")
        assert worker.text.count("trying again") == 1
        assert "Traceback" not in worker.text
        await worker.interrupt()
        assert await gone(worker.process, 20) == 0
