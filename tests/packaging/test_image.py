"""The Dockerfile and the compose file: what they copy is there, what they set exists, what they run works.

No engine runs here. The steps are read from the files, and those that need one stand for what the wheel's tests do.
"""

import json
import re
import subprocess

import pytest

from app.cli.setting_names import unknown_names
from app.settings import Settings
from tests.packaging.conftest import ROOT, Environment
from tests.service_process import ServiceProcess

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def instructions(word: str) -> list[str]:
    """Give the arguments of every instruction of a kind, continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{word} ")]


def ignored() -> list[str]:
    return [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def test_everything_that_is_copied_is_there_and_reaches_the_build() -> None:
    copied = [source for line in instructions("COPY") if "--from=" not in line for source in line.split()[:-1]]
    assert len(copied) >= 8
    allowed = {rule[1:].rstrip("/") for rule in ignored() if rule.startswith("!")}
    for source in copied:
        path = source.rstrip("/")
        assert (ROOT / path).exists(), source
        assert any(path == rule or path.startswith(f"{rule}/") or rule.startswith(f"{path}/") for rule in allowed), (
            source
        )


def test_client_is_built_before_the_wheel_that_carries_it() -> None:
    steps = instructions("RUN")
    (client,) = [number for number, line in enumerate(steps) if line.startswith("deploy/client-wheel ")]
    (wheel,) = [number for number, line in enumerate(steps) if "pip wheel" in line]
    assert client < wheel
    assert steps[client].split()[1:] == ["/opt/build/bin/python", "app/wheels"]


def test_every_lock_that_is_installed_has_hashes() -> None:
    locks = [lock for line in instructions("RUN") for lock in re.findall(r"-r (\S+)", line)]
    assert locks
    for lock in locks:
        assert "--hash=sha256:" in (ROOT / lock).read_text()
    assert all("--require-hashes" in line for line in instructions("RUN") if " -r " in line)


def test_the_image_runs_as_nobody_special_and_sets_real_settings() -> None:
    assert instructions("USER") == ["10001:10001"]
    assert json.loads(instructions("CMD")[-1]) == ["jobtrack", "serve"]
    names = re.findall(r"(JOBTRACK_\w+)=", " ".join(instructions("ENV")))
    assert names
    assert unknown_names(dict.fromkeys(names, "")) == []
    fields = {f"JOBTRACK_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"(JOBTRACK_\w+):", COMPOSE)) <= fields


@pytest.mark.slow
def test_what_the_image_runs_works_in_an_environment_like_its_own(
    environment: Environment, service: ServiceProcess
) -> None:
    programs = environment("embedded")
    (health,) = instructions("HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert command[0] == "jobtrack"
    for port, code in ((service.port, 0), (1, 6)):
        done = subprocess.run(
            [str(programs / command[0]), *command[1:]],
            check=False, capture_output=True, timeout=30, cwd="/", env={"PATH": "", "JOBTRACK_PORT": str(port)},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    migrate = re.search(r'command: (\["jobtrack", .*\])', COMPOSE)
    assert migrate is not None
    migrated = subprocess.run(
        [str(programs / "jobtrack"), *json.loads(migrate[1])[1:]],
        check=False, capture_output=True, text=True, timeout=60, cwd="/",
        env={"PATH": "/usr/bin:/bin", "JOBTRACK_DATABASE_URL": service.database_url},
    )  # fmt: skip
    assert migrated.returncode == 0, migrated.stderr


def test_services_of_the_compose_file_wait_for_each_other() -> None:
    services = re.split(r"\n  (\w+):\n", COMPOSE.partition("\nservices:\n")[2])
    assert "service_completed_successfully" in COMPOSE
    assert "service_healthy" in COMPOSE
    assert re.search(r"POSTGRES_PASSWORD:\?", COMPOSE), "no password is built in"
    assert len(services) > 1
