"""The vendors' real clients, each in a virtual environment of its own, made once from its lock and kept."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service_process import ROOT

LOCKS = ROOT / "requirements" / "clients"
PROGRAMS = Path(__file__).parent / "programs"
INSTALL_SECONDS = 300
CLIENTS = sorted(path.stem for path in LOCKS.glob("*.lock"))

ClientPython = Callable[[str], Path]


def _install(name: str) -> Path:
    """Make the environment of a client, unless there is one of this very lock; its interpreter."""
    lock = LOCKS / f"{name}.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    # Beside the interpreter that runs the tests: `make clean` removes both.
    home = Path(sys.prefix) / "clients" / f"{name}-{digest}"
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        uv = Path(sys.prefix) / "bin" / "uv"
        # uv, since pip's resolver takes very long for one of them; the locks leave nothing to resolve either way.
        making = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, home]
        filling = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "--requirement", lock]
        for command in ([str(word) for word in making], [str(word) for word in filling]):
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            assert done.returncode == 0, f"{name}'s client could not be installed:\n{done.stderr[-2_000:]}"
        ready.touch()
    return python


@pytest.fixture(scope="session")
def client_python() -> ClientPython:
    """The interpreter of a vendor's environment, by the dialect's name."""
    return _install
