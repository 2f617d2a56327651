"""One server process: find it by its pid file or launch it, check whether it is ready, and stop it.

A process is recognized as the server of a data directory by its working directory, which PostgreSQL sets to that
directory. The process id alone may belong to another program by now.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.embedded import log_file, probe
from app.embedded.account import Account
from app.embedded.binaries import Binaries
from app.embedded.data_dir import PORT
from app.embedded.errors import from_os_error

_POLL_SECONDS = 0.02
_PROBE_SECONDS = 5.0
_FAST_STOP_SECONDS = 60.0
_IMMEDIATE_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PidFile:
    """The content of `postmaster.pid`, which the server writes in its data directory."""

    pid: int
    socket_dir: Path
    status: str


class Postmaster:
    """A server process: our child, or one that an earlier service left running."""

    def __init__(self, process: psutil.Process, cluster: Path, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = process.pid
        self._process = process
        self._cluster = cluster
        # We have to reap our own child; another service's server we can only observe.
        self._child = child

    def alive(self) -> bool:
        """Return whether the process is still running, and is still the same one."""
        if self._child:
            return self._child.poll() is None
        with contextlib.suppress(psutil.NoSuchProcess):
            # An adopted server may stay a zombie forever, where process 1 is a program that does not reap.
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def ready_at(self) -> Path | None:
        """Return the folder of the server's socket if the server answers there, else None."""
        pid_file = read_pid_file(self._cluster)
        if not pid_file or pid_file.pid != self.pid or pid_file.status != "ready":
            return None
        return pid_file.socket_dir if probe.answers(pid_file.socket_dir, _PROBE_SECONDS) else None

    def wait_ready(self, within_seconds: float, give_up: threading.Event) -> Path | None:
        """Wait for `ready_at`; return None if the server died, was not ready in time, or `give_up` was set."""
        end = time.monotonic() + within_seconds
        while self.alive() and time.monotonic() < end:
            socket_dir = self.ready_at()
            if socket_dir or give_up.wait(_POLL_SECONDS):
                return socket_dir
        return None

    def stop(self) -> None:
        """Stop the server: it ends its sessions and writes everything to disk; only one that hangs is killed."""
        for number, timeout in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)
            if self._gone_within(timeout):
                return

    def _gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def read_pid_file(cluster: Path) -> PidFile | None:
    """Read the server's pid file; None if it does not exist or is incomplete."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), Path(lines[4]), lines[7].strip())
    except (OSError, ValueError, IndexError):
        return None


def find(cluster: Path) -> Postmaster | None:
    """Return the server that runs on this database, if there is one."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        server = Postmaster(process, cluster)
        return server if _serves(process, cluster) and server.alive() else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def stragglers(cluster: Path) -> list[psutil.Process]:
    """Return the server's remaining processes: after kill -9 of their parent some finish their query first."""
    return [process for process in psutil.process_iter() if _serves(process, cluster)]


def discard_stale_files(cluster: Path, socket_dir: Path) -> None:
    """Remove pid and lock files whose process id now belongs to another program, or to a zombie.

    PostgreSQL itself removes a file whose process is gone, but takes any living process of the same user for a server.
    Nothing is removed while processes of the old server live: the pid file is one of two guards against a second one.
    """
    if not find(cluster) and not stragglers(cluster):
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        # The folder belongs to this server alone, so no other one can be listening there.
        (socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def launch(cluster: Path, binaries: Binaries, account: Account, socket_dir: Path, log: Path) -> Postmaster:
    """Start a server, without waiting until it is ready."""
    quoted = str(socket_dir).replace('"', '""')
    try:
        output = log_file.open_for_server(log)
    except OSError as error:
        raise from_os_error(error, log.parent) from error
    try:
        child = account.popen(
            [
                *(binaries.program("postgres"), "-D", cluster),
                # The settings that the supervisor and its guarantees rely on; others can be changed with ALTER SYSTEM.
                *("-c", "listen_addresses="),
                *("-c", f'unix_socket_directories="{quoted}"'),
                *("-c", "unix_socket_permissions=0700"),
                *("-c", f"port={PORT}"),
                *("-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on"),
                *("-c", "restart_after_crash=on"),
                *("-c", "logging_collector=off", "-c", "log_destination=stderr"),
            ],
            output=output,
        )
    finally:
        os.close(output)
    return Postmaster(psutil.Process(child.pid), cluster, child)


def _serves(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == cluster
    except psutil.AccessDenied:
        # Another user's process, so not our server: that runs as our user, or we are root and may look at it.
        return False
    except psutil.NoSuchProcess:
        return False
