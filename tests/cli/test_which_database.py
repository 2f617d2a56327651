"""Operators' commands say which database they work on, and that it is not the one behind JOBTRACK_URL."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.cli.which_database import name_of
from app.settings import load
from tests.cli.commands import run

SERVICE = "http://127.0.0.1:8000"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The data directory of a service at port 8000."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "api-key.url").write_text(f"{SERVICE}\n")
    return folder


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:s3cret@db.example:5433/jobs", "the database jobs at db.example:5433"),
        ("postgresql://me:s3cr%40t@[::1]/jobs", "the database jobs at [::1]"),
        ("postgresql://me@a:1,b:2/jobs?password=s3cret", "the database jobs at a:1,b:2"),
        (
            "postgresql:///jobs?host=/run/postgresql&port=5433&password=s3cret",
            "the database jobs at /run/postgresql:5433",
        ),
        ("postgresql://me:s3cret@db.example", "the database of its user at db.example"),
        ("postgresql:///?dbname=jobs&user=me", "the database jobs at the default host"),
    ],
)
def test_named_database_is_its_name_and_host_without_a_password(
    monkeypatch: pytest.MonkeyPatch, url: str, name: str
) -> None:
    monkeypatch.setenv("JOBTRACK_DATABASE_URL", url)
    assert name_of(load()) == name


def test_embedded_database_is_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOBTRACK_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("JOBTRACK_DATABASE_URL", raising=False)
    assert name_of(load()) == f"the embedded database in {tmp_path}"


async def test_commands_name_the_database_and_warn_of_another_service(
    database_url: str, kept: Path, tmp_path: Path
) -> None:
    name = urlsplit(database_url).path[1:]
    reach = {"JOBTRACK_DATABASE_URL": database_url, "JOBTRACK_DATA_DIR": str(kept)}
    file = str(tmp_path / "backup")
    for command, said in (
        (("backup", file), f": the database {name} at "),
        (("restore", file, "--yes"), f"Restored the database {name} at "),
        (("doctor",), f"The database {name} at "),
        (("config", "show"), str(kept)),
        (("psql", "-tAc", "SELECT 1"), "1\n"),
    ):
        other = await run(*command, **reach, JOBTRACK_URL="http://me:s3cret@elsewhere.test")
        assert (other.returncode, said in other.stdout) == (0, True), other.stderr + other.stdout
        [line] = other.stderr.splitlines()
        assert line.startswith(f"jobtrack: JOBTRACK_URL is not {SERVICE}, the service of {kept}: ")
        assert "s3cret" not in line


@pytest.mark.parametrize("url", ["", "http://localhost:8000/", SERVICE])
async def test_the_service_of_the_data_directory_is_no_other(kept: Path, url: str) -> None:
    same = await run("config", "show", "--json", JOBTRACK_DATA_DIR=str(kept), JOBTRACK_URL=url)
    assert (same.returncode, same.stderr) == (0, "")
    assert json.loads(same.stdout)["warnings"] == []


async def test_nobody_knows_where_no_address_is_kept(tmp_path: Path) -> None:
    unknown = await run("config", "show", JOBTRACK_DATA_DIR=str(tmp_path), JOBTRACK_URL="http://elsewhere.test")
    assert (unknown.returncode, unknown.stderr) == (0, "")
