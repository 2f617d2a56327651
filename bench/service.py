"""The service as its users start it: `jobtrack serve`, one process, with its own PostgreSQL, fsync on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Self

import httpx

from app.embedded import EmbeddedPostgres, account, binaries, cluster, postmaster
from bench.child import Child, ChildError

API_KEY = "the-key-of-one-benchmark-0123456789abcdef"
"""Of a service that listens on loopback for some minutes."""


class Service:
    """One service on an empty database, or, with `database_url`, a further process on that one."""

    def __init__(
        self, folder: Path, *, database_url: str | None = None, listen_url: str | None = None, workers: int = 1
    ) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._folder = folder
        self._data_dir = folder / "data"
        self._environment = {"JOBTRACK_BOOTSTRAP_KEY": API_KEY, "JOBTRACK_DATA_DIR": str(self._data_dir)}
        if database_url:
            self._environment["JOBTRACK_DATABASE_URL"] = database_url
        if listen_url:
            self._environment["JOBTRACK_LISTEN_URL"] = listen_url
        if workers > 1:
            self._environment["JOBTRACK_WORKERS"] = str(workers)
        self._given_url = database_url
        self._start()

    def _start(self) -> None:
        self._child = Child(
            [sys.executable, "-m", "app.cli", "serve", "--host", "127.0.0.1", "--port", "0", "--json"],
            log=self._folder / "service.log",
            environment=self._environment,
        )
        self.pid = self._child.pid
        self.port = self._child.port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _cluster(self) -> Path:
        return self._data_dir / "postgres"

    @property
    def _postmaster(self) -> postmaster.PidFile:
        found = postmaster.read_pid_file(self._cluster)
        if found is None:
            raise ChildError("the service's database does not run")
        return found

    @property
    def database_url(self) -> str:
        return self._given_url or EmbeddedPostgres.url_of("jobtrack", "jobtrack", self._postmaster.socket_dir)

    @property
    def database_pid(self) -> int:
        """The server process whose children are all the others."""
        return self._postmaster.pid

    @property
    def superuser_url(self) -> str:
        """For what only the owner of the whole server may do: other databases beside this one, extensions."""
        return EmbeddedPostgres.url_of(cluster.SUPERUSER, "postgres", self._postmaster.socket_dir)

    @property
    def socket_dir(self) -> Path:
        return self._postmaster.socket_dir

    def database_program(self, name: str) -> Path | None:
        """A program of the PostgreSQL that this service runs."""
        found = binaries.prepare(None, account.choose(self._cluster), self._data_dir).program(name)
        return found if found.is_file() else None

    def client(self) -> httpx.Client:
        """For what is not measured: httpx takes longer than most answers."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def restart(self) -> None:
        """Another process on the same data, with nothing in its memory."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """End it, and its database too if it had to be cut off."""
        self._child.stop()
        left = None if self._given_url else postmaster.find(self._cluster)
        if left:
            left.stop()
