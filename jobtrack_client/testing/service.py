"""An embedded service for the time of a test, in a process and a data directory of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jobtrack_client.client import AsyncJobtrackClient, JobtrackClient

_LOOK_SECONDS = 0.05
_STOP_SECONDS = 30.0
_SHOWN_CHARACTERS = 4000


class ServiceNotStartedError(RuntimeError):
    """The service is not installed here, or did not start; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: its address, and a key that may do everything."""

    url: str
    api_key: str

    def client(self) -> JobtrackClient:
        """Return a client of the service."""
        return JobtrackClient(self.url, self.api_key)

    def async_client(self) -> AsyncJobtrackClient:
        """Return a client of the service for asyncio."""
        return AsyncJobtrackClient(self.url, self.api_key)


@contextlib.contextmanager
def service(settings: Mapping[str, str] | None = None, *, ready_seconds: float = 120.0) -> Iterator[Service]:
    """Start an embedded service on a free port for the time of the block; its data are removed afterwards.

    This takes some seconds, so a test suite starts one for all its tests. `settings` are environment variables like
    `JOBTRACK_MAX_QUEUES`. Raises `ServiceNotStartedError`, also where the server is not installed.
    """
    command = _command()
    folder = Path(tempfile.mkdtemp(prefix="jobtrack-test-"))
    # PostgreSQL does not run as root: for root the service starts it as another user, who must reach its data.
    folder.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBTRACK_")}
    inherited.pop("DATABASE_URL", None)
    environment = inherited | {"JOBTRACK_DATA_DIR": str(folder / "data")} | dict(settings or {})
    try:
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [command, "serve", "--port", "0", "--json"],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                # Ctrl-C ends the tests, and these end the service.
                start_new_session=True,
            )
        try:
            yield _ready(process, folder, time.monotonic() + ready_seconds)
        finally:
            _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _command() -> str:
    beside = shutil.which("jobtrack", path=sysconfig.get_path("scripts"))
    command = beside or shutil.which("jobtrack")
    if command is None:
        raise ServiceNotStartedError(
            "The service is not installed here: there is no command `jobtrack`. Install the distribution "
            "jobtrack[embedded], or test handlers with `jobtrack_client.testing.run`, which needs no service."
        )
    return command


def _ready(process: subprocess.Popen[bytes], folder: Path, until: float) -> Service:
    while time.monotonic() < until:
        code = process.poll()
        started = _started((folder / "stdout").read_bytes())
        if started is not None:
            return Service(started["url"], started["api_key"])
        if code is not None:
            break
        time.sleep(_LOOK_SECONDS)
    said = (folder / "stderr").read_text(errors="replace").strip() or "it printed nothing"
    raise ServiceNotStartedError(f"The service did not start: {said[-_SHOWN_CHARACTERS:]}")


def _started(output: bytes) -> dict[str, Any] | None:
    """Return what the service prints once it is up; its other lines are its log."""
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            started = json.loads(line)
            if isinstance(started, dict) and "api_key" in started:
                return started
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
