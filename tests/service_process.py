"""One service as users run it: a process that serves on a socket."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
API_KEY = "test-key-of-the-whole-session-0123456789"
READY_SECONDS = 30.0
STOP_SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def without_settings() -> dict[str, str]:
    """The tests' own environment without what would set a service up, or say where one is."""
    others = ("PORT", "DATABASE_URL")
    return {
        name: value for name, value in os.environ.items() if not name.startswith("JOBTRACK_") and name not in others
    }


class ServiceProcess:
    """`jobtrack serve` on a database. Its output is kept, and shown when it does not get ready."""

    wrapper: tuple[str, ...] = ()
    """What runs the command in its place."""

    def __init__(self, database_url: str, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.database_url = database_url
        self.api_key = API_KEY
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir / "service.log"
        self._environment = {
            **without_settings(),
            "JOBTRACK_DATABASE_URL": database_url,
            "JOBTRACK_BOOTSTRAP_KEY": API_KEY,
            "JOBTRACK_DATA_DIR": str(data_dir),
            "PYTHONPATH": str(ROOT),
            **(settings or {}),
        }
        self.log.unlink(missing_ok=True)
        self.start()

    def start(self) -> None:
        """Start it, or start it again at the same address after it has ended."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "app.cli", "serve", "--port", str(self.port)],
                cwd=self.log.parent,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    async def open_waits(self) -> int:
        """How many requests wait for jobs, in the process that answers."""
        async with self.client() as client:
            answer = await client.get("/metrics")
        (line,) = [text for text in answer.text.splitlines() if text.startswith("jobtrack_open_waits{")]
        return int(float(line.split()[-1]))

    def client(self, *, timeout: float = 30.0) -> httpx.AsyncClient:
        """A client with the key."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.api_key}"}, timeout=timeout
        )

    async def ready(self) -> None:
        """Wait until it says that it is."""
        end = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient() as client:
            while time.monotonic() < end and self.process.poll() is None:
                try:
                    answer = await client.get(f"{self.url}/readyz", timeout=5)
                    if answer.status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
        code = self.process.poll()
        self.kill()
        said = self.log.read_text(errors="replace")[-4_000:]
        raise AssertionError(f"the service did not get ready (exit code {code}):\n{said}")

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would, with its own children; harmless when it has ended."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
