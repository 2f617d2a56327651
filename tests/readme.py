"""The README's texts as a reader pastes them: its blocks, a shell that reaches a service, a worker of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.service_process import ROOT, ServiceProcess

README = (ROOT / "README.md").read_text()


@dataclass(frozen=True, slots=True)
class Reached:
    """What the reader has exported: where the service is, and a key."""

    url: str
    api_key: str

    @classmethod
    def of(cls, service: ServiceProcess) -> "Reached":
        return cls(service.url, service.api_key)


def block(language: str, beginning: str) -> str:
    """The one block of the README that begins so."""
    (found,) = re.findall(rf"^```{language}\n({re.escape(beginning)}.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return str(found)


def environment(reached: Reached) -> dict[str, str]:
    # With our Python in front: the machine's may be a slow one of a version manager.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "JOBTRACK_URL": reached.url, "JOBTRACK_API_KEY": reached.api_key, "PATH": path}


def run_script(script: str, reached: Reached) -> str:
    """Run a script as a paste into a shell; what it prints."""
    done = subprocess.run(
        ["bash", "-euc", script], check=False, capture_output=True, text=True, timeout=120, env=environment(reached)
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


TOUR = block("sh", "# api PATH")
FUNCTIONS = TOUR.partition("QUEUE=")[0]


@contextmanager
def working(command: list[str], reached: Reached, cwd: Path) -> Iterator[None]:
    """A worker of the README in a process of its own, which ends when it is told to."""
    worker = subprocess.Popen(
        command, cwd=cwd, env=environment(reached) | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield
        assert worker.poll() is None, worker.communicate()[1]
    finally:
        # With what the loop of a shell has started.
        os.killpg(worker.pid, signal.SIGTERM)
        worker.communicate(timeout=30)
