"""Services as processes, places that another user can reach, and a check that no server outlives its test."""

import json
import os
import pwd
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.embedded import EmbeddedPostgres
from app.embedded.binaries import _find

SERVICE = Path(__file__).with_name("service.py")
DEADLINE_SECONDS = 20.0
NOBODY = pwd.getpwnam("nobody").pw_uid


def _room() -> str:
    """Where databases are written ten times faster than on a disk, if it is large and lets programs run."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 and not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return str(memory)
    return "/tmp"


ROOM = _room()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, other users' files")


def bindir() -> Path:
    """The programs under test."""
    chosen = os.environ.get("JOBTRACK_TEST_PG_BINDIR")
    return Path(chosen) if chosen else _find()


def eventually(condition: Callable[[], Any], what: str) -> Any:
    """The first true answer of `condition`."""
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen in {DEADLINE_SECONDS} s")


def sql(url: str, statement: str) -> str:
    """One statement on a connection of its own."""
    done = subprocess.run(
        [bindir() / "psql", url, "-Atqc", statement], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def postmasters(data_dir: Path) -> list[psutil.Process]:
    """The servers (not their children) that run on a data directory, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) != data_dir / "postgres":
                continue
            parent = process.parent()
            if process.status() != psutil.STATUS_ZOMBIE and not (parent and parent.name().startswith("postgres")):
                found.append(process)
        except psutil.Error:
            continue
    return found


class Service:
    """One run of service.py."""

    def __init__(self, data_dir: Path, *, uid: int | None = None) -> None:
        args = [sys.executable, str(SERVICE), str(data_dir), "--bindir", str(bindir())]
        args += ["--uid", str(uid)] if uid else []
        # A group of its own, so that a test can press Ctrl-C on it without pressing it on pytest.
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self.lines.put(json.loads(line))

    def until(self, key: str) -> dict[str, Any]:
        """The next line that has `key`."""
        seen: list[dict[str, Any]] = []
        while True:
            try:
                line = self.lines.get(timeout=DEADLINE_SECONDS)
            except queue.Empty:
                raise AssertionError(f"no {key!r} came, only {seen}") from None
            if key in line:
                return line
            seen.append(line)
            assert "error" not in line, line

    def url(self) -> str:
        return str(self.until("url")["url"])

    def refusal(self) -> tuple[str, str]:
        """Why it did not start: the kind of the error and its sentence."""
        line = self.until("error")
        self.process.wait(DEADLINE_SECONDS)
        return line["error"], line["message"]

    def kill(self) -> None:
        """End it as a crash or the kernel would."""
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def stop(self) -> dict[str, Any]:
        """End it as an operator would; its last line."""
        self.process.terminate()
        line = self.until("stopped")
        assert self.process.wait(DEADLINE_SECONDS) == 0
        return line


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach (pytest's own is root's), emptied of files and servers afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="jt-", dir=ROOM)).resolve()
    folder.chmod(0o755)
    yield folder
    for process in psutil.process_iter():
        try:
            if folder in Path(process.cwd()).parents:
                process.kill()
        except psutil.Error:
            continue
    shutil.rmtree(folder)


@pytest.fixture
def services(place: Path) -> Iterator[list[Service]]:  # noqa: ARG001  # ended before their place is emptied
    """Every service that the test starts."""
    started: list[Service] = []
    yield started
    for service in started:
        service.kill()
        service._reader.join()


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    """A new database, made once: initdb takes a second, a copy of its files a tenth of one."""
    folder = Path(tempfile.mkdtemp(prefix="jt-template-", dir=ROOM))
    folder.chmod(0o755)
    EmbeddedPostgres(folder, bindir=bindir()).__enter__().stop()
    yield folder / "postgres"
    shutil.rmtree(folder)


def seed(data_dir: Path, template: Path, uid: int | None) -> Path:
    """A data directory with a database in it, of the given user when it is not the template's."""
    data_dir.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", template, data_dir / "postgres"], check=True)
    if uid:
        subprocess.run(["chown", "-R", str(uid), data_dir], check=True)
    return data_dir


@pytest.fixture(params=[pytest.param("root", marks=as_root), "plain"])
def start(request: pytest.FixtureRequest, template: Path, services: list[Service]) -> Callable[..., Service]:
    """Start a service on a data directory as root, which drops its rights, or as a plain user."""
    uid = NOBODY if request.param == "plain" and os.geteuid() == 0 else None

    def run(data_dir: Path, *, fresh: bool = False) -> Service:
        if uid and not data_dir.exists():
            data_dir.mkdir()
            os.chown(data_dir, uid, uid)
        if not fresh and not (data_dir / "postgres").exists():
            seed(data_dir, template, uid)
        services.append(Service(data_dir, uid=uid))
        return services[-1]

    return run


@pytest.fixture
def as_me(services: list[Service]) -> Callable[..., Service]:
    """Start a service as the user who runs the tests, for tests of which one user is enough."""

    def run(data_dir: Path) -> Service:
        services.append(Service(data_dir))
        return services[-1]

    return run


@pytest.fixture
def seeded(place: Path, template: Path) -> Path:
    """A data directory with a database, for the user who runs the tests."""
    return seed(place / "data", template, None)
