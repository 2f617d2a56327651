"""The client alone: what its wheel holds, and that a program with a package `app` of its own can have it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import uuid
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

from jobtrack_client import JobtrackClient
from tests.packaging.conftest import ROOT, make_environment, needed, packages_of, pip_install
from tests.service_process import ServiceProcess

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OWN_APP = '"""A package of the user\'s."""\n\nOWN = "untouched"\n'
WORKER = """
import sys

import app
from jobtrack_client import AsyncJobtrackClient, JobContext, Worker


def nightly(ctx: JobContext) -> dict[str, str]:
    return {"app": app.OWN, "from": app.__file__}


Worker(AsyncJobtrackClient(), types={"nightly": nightly}, queues=[sys.argv[1]]).run_until_signal()
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as files:
        (name,) = [name for name in files.namelist() if name.endswith("/METADATA")]
        return Parser().parsestr(files.read(name).decode())


def test_wheel_holds_the_client_alone(client_wheel: Path) -> None:
    assert client_wheel.name == f"jobtrack_client-{PROJECT['version']}-py3-none-any.whl"
    names = set(zipfile.ZipFile(client_wheel).namelist())
    sources = {
        str(path.relative_to(ROOT)) for path in (ROOT / "jobtrack_client").rglob("*") if "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == {
        name for name in sources if (ROOT / name).is_file()
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_client_asks_for_a_part_of_what_the_service_asks_for(client_wheel: Path) -> None:
    described = metadata(client_wheel)
    assert set(described.get_all("Requires-Dist", [])) == {"httpx>=0.28", "platformdirs>=4"}
    assert set(described.get_all("Requires-Dist", [])) <= set(PROJECT["dependencies"])
    assert described["Requires-Python"] == PROJECT["requires-python"]


def test_same_sources_are_the_same_bytes(client_wheel: Path, tmp_path: Path) -> None:
    """From another folder, with files of another time and other rights, in another order."""
    for name in ("client", "deploy", "jobtrack_client"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for path in sorted((tmp_path / "jobtrack_client").iterdir(), reverse=True):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    target = tmp_path / "built"
    subprocess.run(["deploy/client-wheel", sys.executable, str(target)], check=True, cwd=tmp_path)
    assert digest(target / client_wheel.name) == digest(client_wheel)


def test_build_leaves_no_wheel_of_an_older_version(tmp_path: Path) -> None:
    (tmp_path / "jobtrack_client-0.0.1-py3-none-any.whl").touch()
    subprocess.run([str(ROOT / "deploy" / "client-wheel"), sys.executable, str(tmp_path)], check=True)
    assert [path.name for path in tmp_path.iterdir()] == [f"jobtrack_client-{PROJECT['version']}-py3-none-any.whl"]


def test_wheel_of_the_service_carries_the_clients(wheel: Path) -> None:
    assert f"app/wheels/jobtrack_client-{PROJECT['version']}-py3-none-any.whl" in zipfile.ZipFile(wheel).namelist(), (
        "run make assets"
    )


@pytest.mark.slow
def test_program_with_an_app_of_its_own_runs_a_worker(
    service: ServiceProcess, client_wheel: Path, interpreter: Path, tmp_path: Path
) -> None:
    address = httpx.get(f"{service.url}/client/").text.strip()
    # What is served is what the sources say.
    assert address == f"{service.url}/client/{client_wheel.name}#sha256={digest(client_wheel)}", "run make assets"

    place = tmp_path / "environment"
    make_environment(interpreter, place, needed(metadata(client_wheel).get_all("Requires-Dist", [])).values())
    own = packages_of(place) / "app"
    own.mkdir()
    (own / "__init__.py").write_text(OWN_APP)
    pip_install(place, address)
    assert [(path.name, path.read_text()) for path in own.iterdir()] == [("__init__.py", OWN_APP)]

    queue = f"own-app-{uuid.uuid4()}"
    environment = {"PATH": "", "JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key}
    worker = subprocess.Popen(
        [str(place / "bin" / "python"), "-c", WORKER, queue],
        cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        with JobtrackClient(service.url, service.api_key) as jobs:
            ended = jobs.wait(jobs.create_job("nightly", queue=queue)["id"], timeout=60)
        assert (ended["status"], ended["result"]) == (
            "completed",
            {"app": "untouched", "from": str(own / "__init__.py")},
        )
        worker.terminate()
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        said = worker.communicate()[0]
    assert "Traceback" not in said


def test_address_with_another_digest_installs_nothing(
    service: ServiceProcess, client_wheel: Path, interpreter: Path, tmp_path: Path
) -> None:
    place = tmp_path / "environment"
    make_environment(interpreter, place, [])
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        pip_install(place, "--no-deps", f"{service.url}/client/{client_wheel.name}#sha256={'0' * 64}")
    assert not (packages_of(place) / "jobtrack_client").exists()
