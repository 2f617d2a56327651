"""`EmbeddedPostgres`: start the server, keep it running and stop it.

One thread watches the process. Everything is synchronous, so that the parent of several server processes, a command and
a test can all use it, and the database is restarted without a running event loop.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil

from app.embedded import binaries, cluster, data_dir, log_file, postmaster
from app.embedded.account import Account, choose
from app.embedded.errors import EmbeddedError, StartError, from_output
from app.embedded.postmaster import Postmaster

# Recovery after a crash replays at most max_wal_size of WAL; a machine that needs longer has another problem.
_READY_SECONDS = 300.0
_ADOPT_SECONDS = 30.0
_WATCH_SECONDS = 0.25
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 5.0
# How long the queries of a killed server may take to notice; they cannot commit any more.
_STRAGGLER_SECONDS = 2.0
_STRAGGLER_POLL_SECONDS = 0.2


class EmbeddedPostgres:
    """A PostgreSQL server of our own in `data_dir`; `start` returns the URL of its database.

    `bindir` is the folder of the programs to use instead of the wheel's. `log` is called with one line for each event
    that an operator may want to know. If a process ends without `stop`, the server keeps running, and the next start
    adopts it.
    """

    def __init__(self, data_dir: Path, *, bindir: Path | None = None, log: Callable[[str], None] | None = None) -> None:
        self._data_dir = data_dir.absolute().resolve()
        self._cluster = self._data_dir / "postgres"
        self._log_path = self._data_dir / "postgres.log"
        self._bindir = bindir
        self._log = log or logging.getLogger(__name__).info
        self._lock: int | None = None
        self._server: Postmaster | None = None
        self._watchdog: threading.Thread | None = None
        self._stopping = threading.Event()
        self._url = ""
        self.restarts = 0

    def start(self) -> str:
        """Start or adopt the server, create its database if needed, and return the URL. Raises `EmbeddedError`."""
        if self._lock is not None:
            return self._url
        data_dir.prepare(self._data_dir)
        self._lock = data_dir.acquire(self._data_dir)
        self._stopping.clear()
        try:
            account = choose(self._cluster)
            data_dir.require_reachable(self._data_dir, account)
            programs = binaries.prepare(self._bindir, account, self._data_dir)
            if not cluster.check(self._cluster, programs):
                self._log(f"Creating a PostgreSQL {programs.version} database in {self._cluster}")
                cluster.create(self._cluster, programs, account)
            socket_dir = data_dir.socket_dir(self._data_dir, account)
            if not self._adopt(socket_dir):
                self._launch(programs, account, socket_dir)
        except BaseException:
            self.stop()
            raise
        self._url = self.url_of(cluster.OWNER, cluster.OWNER, socket_dir)
        self._watchdog = threading.Thread(
            target=self._watch, args=(programs, account, socket_dir), name="embedded-postgres", daemon=True
        )
        self._watchdog.start()
        return self._url

    def stop(self) -> None:
        """Stop the server and release the data directory; does nothing if the server is not running."""
        self._stopping.set()
        if self._watchdog:
            self._watchdog.join()
            self._watchdog = None
        if self._server:
            self._server.stop()
            self._server = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL that `start` returned."""
        return self._url

    @property
    def admin_url(self) -> str:
        """The URL of the server's superuser, for tests that create databases and for backups."""
        return self._url.replace(f"//{cluster.OWNER}@/{cluster.OWNER}?", f"//{cluster.SUPERUSER}@/postgres?")

    @property
    def url_while_running(self) -> str:
        """The URL of the server that another process runs in this data directory."""
        folder = data_dir.socket_dir(self._data_dir, choose(self._cluster))
        return self.url_of(cluster.OWNER, cluster.OWNER, folder)

    @property
    def exists(self) -> bool:
        """Whether there is a database in the data directory."""
        return (self._cluster / "PG_VERSION").is_file()

    @staticmethod
    def url_of(role: str, database: str, socket_dir: Path) -> str:
        """Return a URL that libpq, asyncpg and SQLAlchemy accept; it names the port, which PGPORT would change."""
        return f"postgresql://{role}@/{database}?host={quote(str(socket_dir))}&port={data_dir.PORT}"

    def _adopt(self, socket_dir: Path) -> bool:
        """Adopt the healthy server that a killed service left running; stop any other one.

        A server that listens elsewhere (the folder was moved, a person started it) is stopped as well: the next restart
        would change its address, for everyone who has the URL.
        """
        server = postmaster.find(self._cluster)
        if not server:
            return False
        self._server = server
        if server.wait_ready(_ADOPT_SECONDS, self._stopping) == socket_dir:
            self._log(f"Adopted the PostgreSQL that was still running (process {server.pid})")
            return True
        server.stop()
        self._server = None
        return False

    def _launch(self, programs: binaries.Binaries, account: Account, socket_dir: Path) -> None:
        """Start a server and wait until it is ready, also for remaining processes of a killed server to end."""
        deadline = time.monotonic() + _STRAGGLER_SECONDS
        while True:
            try:
                self._launch_once(programs, account, socket_dir)
            except StartError:
                # The old server's processes hold its shared memory. A new server refuses to start until they are gone,
                # and rightly so, because two servers that write at once would destroy the data.
                left = postmaster.stragglers(self._cluster)
                if not left or self._stopping.is_set():
                    raise
            else:
                return
            if time.monotonic() > deadline:
                self._log(f"Ending {len(left)} processes that the killed PostgreSQL left busy")
                _kill(left)
            self._stopping.wait(_STRAGGLER_POLL_SECONDS)

    def _launch_once(self, programs: binaries.Binaries, account: Account, socket_dir: Path) -> None:
        postmaster.discard_stale_files(self._cluster, socket_dir)
        offset = log_file.size(self._log_path)
        self._server = postmaster.launch(self._cluster, programs, account, socket_dir, self._log_path)
        if self._server.wait_ready(_READY_SECONDS, self._stopping):
            return
        died = not self._server.alive()
        self._server.stop()
        self._server = None
        if died:
            raise from_output(
                log_file.since(self._log_path, offset), self._data_dir, f"PostgreSQL (its log is {self._log_path})"
            )
        raise StartError(f"PostgreSQL did not get ready in {_READY_SECONDS:.0f} s: see {self._log_path}.")

    def _watch(self, programs: binaries.Binaries, account: Account, socket_dir: Path) -> None:
        delay = _FIRST_RETRY_SECONDS
        while not self._stopping.wait(_WATCH_SECONDS):
            log_file.keep_small(self._log_path)
            if self._server and self._server.alive():
                continue
            self._log("PostgreSQL died; starting it again")
            try:
                self._launch(programs, account, socket_dir)
            except (EmbeddedError, OSError) as error:
                # Keep trying: a full disk may have space by the next time, and giving up would require a person.
                if not self._stopping.is_set():
                    self._log(str(error))
                self._stopping.wait(delay)
                delay = min(delay * 2, _LONGEST_RETRY_SECONDS)
                continue
            self.restarts += 1
            delay = _FIRST_RETRY_SECONDS
            self._log(f"PostgreSQL runs again (restart {self.restarts})")


def _kill(processes: list[psutil.Process]) -> None:
    """Kill the remaining processes of a dead server; recovery then starts from the WAL, as after any crash."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
