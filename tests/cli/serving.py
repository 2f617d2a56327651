"""`jobtrack serve` in the embedded mode, as a process, with what it has printed."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.service_process import ROOT, without_settings


async def gone(process: subprocess.Popen[bytes], within: float) -> int:
    return await asyncio.to_thread(process.wait, within)


def log_of(data_dir: Path) -> Path:
    return data_dir.parent / f"{data_dir.name}.log"


@contextlib.contextmanager
def terminal(log: Path) -> Iterator[int]:
    """A terminal whose screen is the end of the log."""
    screen, line = os.openpty()

    def copy() -> None:
        # Reading from a terminal that nobody holds open any more is an error, and the end.
        with contextlib.suppress(OSError), log.open("ab", buffering=0) as file:
            while True:
                file.write(os.read(screen, 4096).replace(b"\r\n", b"\n"))

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield line
    finally:
        os.close(line)
        thread.join()
        os.close(screen)


@contextlib.asynccontextmanager
async def serve(data_dir: Path, *options: str, on_terminal: bool = False) -> AsyncIterator[subprocess.Popen[bytes]]:
    """The command as `make run` starts it, on a database of its own."""
    chosen = os.environ.get("JOBTRACK_TEST_PG_BINDIR")
    if chosen:
        pytest.skip("the service runs the PostgreSQL of the wheel")
    log = log_of(data_dir)
    with terminal(log) if on_terminal else log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  the test has nothing else to do meanwhile
            [sys.executable, "-m", "app.cli", "serve", *options],
            cwd=ROOT,
            env={**without_settings(), "JOBTRACK_DATA_DIR": str(data_dir)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert await gone(process, 10) == 0
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    await gone(process, 10)
                process.kill()


async def said(data_dir: Path, pattern: str, process: subprocess.Popen[bytes]) -> re.Match[str]:
    """Wait until the command has said it."""
    end = time.monotonic() + 60
    text = ""
    while time.monotonic() < end and process.poll() is None:
        text = log_of(data_dir).read_text()
        found = re.search(pattern, text)
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{pattern} was not said:\n{text}")
