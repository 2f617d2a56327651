"""The wheel, and empty environments that hold it and exactly what it asks for, made without a network.

What the wheel depends on is copied from the environment of the tests, distribution by distribution, as its metadata
says: an import that nobody declared fails there as it would for a user.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
Environment = Callable[..., Path]


@pytest.fixture(scope="session")
def wheel(room: Path) -> Path:
    """The wheel, built from the sources by the locked build tool."""
    target = room / "dist"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)],
        check=True, cwd=ROOT, capture_output=True,
    )  # fmt: skip
    (built,) = target.glob("*.whl")
    return built


def needed(requirements: Iterable[str]) -> dict[str, Distribution]:
    """What requirements bring, and what that needs, by name."""
    found: dict[str, Distribution] = {}
    pending = [Requirement(text) for text in requirements]
    seen = set()
    while pending:
        current = pending.pop()
        key = (current.name, frozenset(current.extras))
        if key in seen:
            continue
        seen.add(key)
        one = distribution(current.name)
        found[re.sub(r"[-_.]+", "-", current.name).lower()] = one
        for text in one.requires or ():
            asked = Requirement(text)
            if any(asked.marker is None or asked.marker.evaluate({"extra": extra}) for extra in ("", *current.extras)):
                pending.append(asked)
    return found


def packages_of(place: Path) -> Path:
    return place / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"


def make_environment(interpreter: Path, place: Path, distributions: Iterable[Distribution]) -> None:
    """Build an environment that holds copies of distributions, and none of the interpreter's own old packages."""
    subprocess.run([str(interpreter), "-m", "venv", "--without-pip", str(place)], check=True)
    packages = packages_of(place)
    for one in distributions:
        for file in one.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(one.locate_file(file)), target)


def pip_install(place: Path, *arguments: str) -> None:
    """Install into an environment; no index is asked."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--python", str(place / "bin" / "python"), "install", "--no-index",
         "--no-compile", *arguments],
        check=False, capture_output=True, text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def reachable(path: Path) -> bool:
    """Whether any user may run a program at this place."""
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


@pytest.fixture(scope="session")
def client_wheel(room: Path) -> Path:
    """The wheel of the client alone, built from the sources."""
    target = room / "client-dist"
    subprocess.run([str(ROOT / "deploy" / "client-wheel"), sys.executable, str(target)], check=True)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="session")
def interpreter() -> Path:
    """A Python of our version that other users can run as well, if there is one."""
    mine = Path(sys.executable).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (mine, Path(f"/usr/bin/{version}"), Path(f"/usr/local/bin/{version}")):
        if candidate.exists() and reachable(candidate.resolve()):
            return candidate
    return mine


@pytest.fixture(scope="session")
def environment(wheel: Path, interpreter: Path, room: Path) -> Environment:
    """Make an environment with the wheel and what it needs with some extras; gives its folder of programs."""
    made: dict[tuple[str, ...], Path] = {}

    def make(*extras: str) -> Path:
        if extras not in made:
            place = room / "-".join(("environment", *extras))
            own = needed([f"jobtrack[{','.join(extras)}]"])
            del own["jobtrack"]
            make_environment(interpreter, place, own.values())
            pip_install(place, "--no-deps", str(wheel))
            made[extras] = place / "bin"
        return made[extras]

    return make
