"""Several server processes on one listening socket, and the parent that starts, restarts and stops them.

Each child is a complete service with its own pool and change feed. Like processes on different machines, the children
share only the database. uvicorn's own multiprocessing would kill its children before they have answered open waits.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

import httpx

from app.cli.server import DRAIN_CAP_SECONDS, Serving, serve_until_signal

logger = logging.getLogger("jobtrack")

_POLL_SECONDS = 0.1
# Without a pause, a child that dies at once would be restarted as fast as the machine can.
_RESTART_SECONDS = 1.0
_STOP_MARGIN_SECONDS = 5.0


class Processes:
    """The child processes; `run` returns after a signal, when all of them have exited."""

    def __init__(self, serving: Serving, listener: socket.socket, count: int, url: str) -> None:
        self._serving = serving
        self._listener = listener
        self._count = count
        self._url = url
        self._children: list[subprocess.Popen[bytes]] = []
        self._signals = 0

    def run(self, on_started: Callable[[], None], before_drain: Callable[[], None]) -> bool:
        """Serve until a signal. Return False if a child exited before the service was up."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._signalled)
        try:
            self._children = [self._spawn() for _ in range(self._count)]
            started = False
            while not self._signals:
                if not started:
                    if any(child.poll() for child in self._children):
                        return False
                    started = self._answers()
                    if started:
                        on_started()
                else:
                    self._restart_dead()
                time.sleep(_POLL_SECONDS)
            before_drain()
        finally:
            self._stop()
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._listener.set_inheritable(True)
        child = subprocess.Popen(
            [sys.executable, "-m", "app.cli.processes", str(self._listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            # A terminal sends Ctrl-C to the whole group; through us children get it once, after the demo has ended.
            process_group=0,
        )
        # Through a pipe, because every user of the machine can read a command line, and the URL contains a password.
        if child.stdin:
            child.stdin.write(json.dumps(dataclasses.asdict(self._serving)).encode() + b"\n")
            child.stdin.flush()
        return child

    def _restart_dead(self) -> None:
        for index, child in enumerate(self._children):
            if child.poll() is not None:
                logger.error("Server process %d ended with %d; starting another", child.pid, child.returncode)
                time.sleep(_RESTART_SECONDS)
                self._children[index] = self._spawn()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._url}/livez", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _stop(self) -> None:
        for child in self._children:
            child.terminate()
        end = time.monotonic() + DRAIN_CAP_SECONDS + _STOP_MARGIN_SECONDS
        for child in self._children:
            while child.poll() is None:
                if self._signals > 1 or time.monotonic() > end:
                    child.kill()
                time.sleep(_POLL_SECONDS / 2)
            if child.stdin:
                child.stdin.close()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._signals += 1


def child() -> None:
    """Run one child process: the socket's number is an argument, the rest is one line on the pipe from the parent."""
    from app.cli.start import start_up

    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 65536)
        if not chunk:
            return
        line += chunk
    with start_up():
        listener = socket.socket(fileno=int(sys.argv[1]))
        serve_until_signal(Serving(**json.loads(line)), listener, parent=0)


if __name__ == "__main__":
    child()
