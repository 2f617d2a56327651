"""One running server: found by its pid file or started by us, asked whether it is ready, stopped.

Whether a process *is* the server of a data directory is decided by its working directory, which PostgreSQL sets to that
directory. A process id alone may have been given to another program since.
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
    """What the server writes about itself in its data directory."""

    pid: int
    socket_dir: Path
    status: str


class Postmaster:
    """A server process, ours or one that an earlier service left."""

    def __init__(self, process: psutil.Process, cluster: Path, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = process.pid
        self._process = process
        self._cluster = cluster
        # A child of ours must be reaped by us; another one only be looked at.
        self._child = child

    def alive(self) -> bool:
        """Whether the process is still there, and is still the same one."""
        if self._child:
            return self._child.poll() is None
        with contextlib.suppress(psutil.NoSuchProcess):
            # Nobody may ever reap an adopted server's remains where process 1 is a plain program.
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        return False

    def ready_at(self) -> Path | None:
        """The folder of its socket once the server answers there."""
        written = read_pid_file(self._cluster)
        if not written or written.pid != self.pid or written.status != "ready":
            return None
        return written.socket_dir if probe.answers(written.socket_dir, _PROBE_SECONDS) else None

    def wait_ready(self, within_seconds: float, give_up: threading.Event) -> Path | None:
        """Wait until it answers; None when it died, did not in time, or `give_up` was set."""
        end = time.monotonic() + within_seconds
        while self.alive() and time.monotonic() < end:
            found = self.ready_at()
            if found or give_up.wait(_POLL_SECONDS):
                return found
        return None

    def stop(self) -> None:
        """Stop it: sessions are ended and everything is written; only a server that hangs is cut off."""
        for number, patience in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)
            if self._gone_within(patience):
                return

    def _gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def read_pid_file(cluster: Path) -> PidFile | None:
    """The server's own note, if it is there and complete."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), Path(lines[4]), lines[7].strip())
    except (OSError, ValueError, IndexError):
        return None


def find(cluster: Path) -> Postmaster | None:
    """The server that runs on this database, if one does."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        found = Postmaster(process, cluster)
        return found if _serves(process, cluster) and found.alive() else None
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None


def stragglers(cluster: Path) -> list[psutil.Process]:
    """The server's processes that are still there: after kill -9 of their parent some finish their query first."""
    return [process for process in psutil.process_iter() if _serves(process, cluster)]


def discard_stale_notes(cluster: Path, socket_dir: Path) -> None:
    """Remove notes whose process id now belongs to another program, or to remains that nobody reaps.

    PostgreSQL itself clears one whose process is gone, but takes any living process of the same user for a server.
    Never while processes of the old server live: the note is one of the two things that keep a second server out.
    """
    if not find(cluster) and not stragglers(cluster):
        (cluster / "postmaster.pid").unlink(missing_ok=True)
        # The folder is this server's alone, so nobody else can be listening there.
        (socket_dir / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)


def launch(cluster: Path, binaries: Binaries, account: Account, socket_dir: Path, log: Path) -> Postmaster:
    """Start a server; it has not answered yet."""
    quoted = str(socket_dir).replace('"', '""')
    try:
        output = log_file.open_for_server(log)
    except OSError as error:
        raise from_os_error(error, log.parent) from error
    try:
        child = account.popen(
            [
                *(binaries.program("postgres"), "-D", cluster),
                # What the supervisor and its promises rely on; the rest can be changed with ALTER SYSTEM.
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
        # Somebody else's process: not our server, which runs as our user or, when we are root, hides nothing.
        return False
    except psutil.NoSuchProcess:
        return False
