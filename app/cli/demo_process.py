"""The demo beside the service: `jobtrack demo` in a process of its own, as a user would run it.

It is not a task of the server process, because reading thousands of files keeps a processor busy, and the service
would be judged by how well it shares one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from app.cli.demo import GRACE_SECONDS
from app.cli.exits import Exit, fail


class DemoProcess:
    """Starts the demo, if it is enabled, once the service is up, and ends it with the service."""

    def __init__(self, url: str, key: str | None, data_dir: Path, *, where: str, enabled: bool, as_json: bool) -> None:
        key = key or os.environ.get("JOBTRACK_API_KEY") or os.environ.get("JOBTRACK_BOOTSTRAP_KEY")
        if enabled and not key:
            fail(
                Exit.START_UP,
                f"--demo needs an API key of this service: set JOBTRACK_API_KEY. The first key is {where}.",
            )
        self._arguments = ["demo", "--stay", "--with-input", *(["--json"] if as_json else [])] if enabled else None
        self._settings = {"JOBTRACK_URL": url, "JOBTRACK_API_KEY": key or "", "JOBTRACK_DATA_DIR": str(data_dir)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the demo, if it is enabled."""
        if self._arguments:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *self._arguments],
                env=os.environ | self._settings,
                # Nothing is sent: it ends with us, also where we are killed.
                stdin=subprocess.PIPE,
                # Ctrl-C reaches the demo through us, while the service can still accept the cancellation of its job.
                process_group=0,
            )

    def stop(self) -> None:
        """End the demo and cancel its job; does nothing if it has ended."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
            return
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
