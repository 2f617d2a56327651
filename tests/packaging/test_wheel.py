"""The wheel as people install it: the client alone, and the whole service, run by somebody else."""

import json
import os
import pwd
import subprocess
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import Environment, reachable
from tests.service_process import ServiceProcess, free_port

# Without pydantic, which typer itself asks for.
SERVER_ONLY = ("fastapi", "starlette", "sqlalchemy", "asyncpg", "pydantic_settings", "alembic", "uvicorn", "structlog")


def run(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments],
        check=False, capture_output=True, text=True, timeout=60, cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
    )  # fmt: skip


def test_the_wheel_carries_migrations_and_assets(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("app/migrations/versions/0001") for name in names)
    assert "app/static/vendor/swagger-ui-dist/swagger-ui-bundle.js" in names or any(
        name.startswith("app/static/vendor/") and name.endswith(".js") for name in names
    )
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


@pytest.mark.slow
def test_the_client_alone_needs_nothing_of_the_server(environment: Environment, service: ServiceProcess) -> None:
    programs = environment()
    for module in SERVER_ONLY:
        assert run(programs / "python", "-c", f"import {module}").returncode == 1, module
    assert run(programs / "python", "-c", "import jobtrack_client; jobtrack_client.Worker").returncode == 0
    assert "serve" in run(programs / "jobtrack", "--help").stdout
    there = {"JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key}
    made = run(programs / "jobtrack", "jobs", "submit", "packaged", **there)
    assert made.returncode == 0, made.stderr
    got = run(programs / "jobtrack", "jobs", "get", made.stdout.strip(), "--json", **there)
    assert json.loads(got.stdout)["type"] == "packaged"
    for command in (("serve",), ("migrate",), ("openapi", "/nonexistent"), ("config", "show")):
        refused = run(programs / "jobtrack", *command)
        assert (refused.returncode, "pip install '.[" in refused.stderr) == (3, True), refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_another_user_runs_the_service_from_the_wheel(
    environment: Environment, interpreter: Path, room: Path, tmp_path_factory: Any
) -> None:
    programs = environment("embedded")
    somebody: dict[str, Any] = {}
    home = room / "home"
    home.mkdir()
    if os.geteuid() == 0:
        if not reachable(interpreter.resolve()):
            pytest.skip("no Python here that another user may run")
        nobody = pwd.getpwnam("nobody")
        somebody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
    port = str(free_port())
    mine = {"PATH": "/usr/bin:/bin", "HOME": str(home), "JOBTRACK_DATA_DIR": str(home / "data"), "JOBTRACK_PORT": port}
    log = (tmp_path_factory.mktemp("packaged") / "log").open("w+")
    service = subprocess.Popen(
        [str(programs / "jobtrack"), "serve"], env=mine, cwd="/", stdout=log, stderr=log, **somebody
    )
    try:
        ends_at = time.monotonic() + 60
        while run(programs / "jobtrack", "health", **mine).returncode:
            assert service.poll() is None, Path(log.name).read_text()
            assert time.monotonic() < ends_at, Path(log.name).read_text()
        made = subprocess.run(
            [str(programs / "jobtrack"), "jobs", "submit", "packaged"],
            check=False, capture_output=True, text=True, env=mine, cwd="/", **somebody,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/docs") as page:
            assert b"make assets" not in page.read()
    finally:
        service.terminate()
        assert service.wait(30) == 0, Path(log.name).read_text()
        log.close()
    assert run(programs / "jobtrack", "health", **mine).returncode == 6
