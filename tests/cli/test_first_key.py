"""The first key of the embedded mode: where it is kept, whom it is for, and when it is printed."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.cli import keys
from app.cli.keys import FirstKey
from app.settings import load
from tests.cli.commands import run
from tests.cli.serving import log_of, said, serve
from tests.conftest import CreateDatabase, StartService
from tests.service_process import ROOT, free_port


async def test_the_embedded_mode_keeps_its_key_and_lets_no_second_in(data_dir: Path) -> None:
    port = str(free_port())
    async with serve(data_dir, "--port", port) as process:
        key = (await said(data_dir, r"API key     (jt_\w+) \(kept in", process)).group(1)
        kept, address = data_dir / "api-key", data_dir / "api-key.url"
        assert kept.read_text() == f"{key}\n"
        assert address.read_text() == f"http://127.0.0.1:{port}\n"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, address)] == [0o600, 0o600]
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as client:
            answer = await client.post(f"http://127.0.0.1:{port}/v1/jobs", json={"type": "x"})
        assert answer.status_code == 201
        for other, sentence in (("0", f"Another Jobtrack (process {process.pid}) is using"), (port, "Cannot serve on")):
            second = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-m", "app.cli", "serve", "--port", other],
                check=False,
                capture_output=True,
                text=True,
                cwd=ROOT,
                env={**os.environ, "JOBTRACK_DATA_DIR": str(data_dir)},
            )
            assert (second.returncode, second.stdout) == (3, "")
            assert second.stderr.splitlines()[-1].startswith(f"jobtrack: {sentence}")
            assert "Traceback" not in second.stderr
        # Nor does the one that was refused change whom the key is for.
        assert (await run("jobs", "list", JOBTRACK_PORT=port, JOBTRACK_DATA_DIR=str(data_dir))).returncode == 0


async def test_the_key_is_printed_when_it_is_made_and_on_a_terminal_and_into_no_log_again(data_dir: Path) -> None:
    async with serve(data_dir, "--port", "0", "--json") as process:
        line = (await said(data_dir, r'(?m)^(\{"url".*\})$', process)).group(1)
        first = json.loads(line)
        key = first["api_key"]
        assert (first["api_key_file"], f"{key}\n") == (str(data_dir / "api-key"), (data_dir / "api-key").read_text())
        assert (data_dir / "api-key.url").read_text() == f"{first['url']}\n"
    # As an older version has left it.
    (data_dir / "api-key.url").unlink()
    log_of(data_dir).unlink()
    async with serve(data_dir, "--port", "0", "--demo") as process:
        url = (await said(data_dir, r"Swagger UI  (\S+)/docs", process)).group(1)
        await said(data_dir, r"Submitted job", process)
        assert re.search(rf"(?m)^  API key     kept in {data_dir}/api-key$", log_of(data_dir).read_text())
        mine = {"JOBTRACK_DATA_DIR": str(data_dir)}
        assert (await run("jobs", "list", "--url", url, **mine)).returncode == 0
        before = await run("jobs", "list", "--url", first["url"], **mine)
        assert before.returncode == 5
        assert before.stderr.startswith(f"jobtrack: No key for {first['url']}: set JOBTRACK_API_KEY; ")
    async with serve(data_dir, "--port", "0", "--json") as process:
        line = (await said(data_dir, r'(?m)^(\{"url".*\})$', process)).group(1)
        assert (json.loads(line)["api_key"], json.loads(line)["api_key_file"]) == (None, str(data_dir / "api-key"))
    assert key not in log_of(data_dir).read_text()
    assert key not in (data_dir / "postgres.log").read_text()
    async with serve(data_dir, "--port", "0", on_terminal=True) as process:
        assert (await said(data_dir, r"API key     (jt_\w+) \(kept in", process)).group(1) == key


async def test_a_service_on_another_database_notes_no_address(start_service: StartService) -> None:
    service = await start_service()
    # A service with a database of its own may use the same directory.
    assert not {path.name for path in service.log.parent.iterdir()} & {"api-key", "api-key.url"}


async def test_only_a_key_that_nobody_can_know_yet_is_new(
    create_database: CreateDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBTRACK_DATA_DIR", str(tmp_path))

    async def install(url: str, *, keep: bool) -> FirstKey:
        return await asyncio.to_thread(keys.install, url, load(), keep=keep)

    url = await create_database()
    assert [(await install(url, keep=True)).is_new for _ in range(2)] == [True, False]
    # The database was lost, or a start ended between the file and the database: the file had it before.
    assert not (await install(await create_database(), keep=True)).is_new
    assert (await install(await create_database(), keep=False)).is_new
    monkeypatch.setenv("JOBTRACK_BOOTSTRAP_KEY", "chosen-by-the-operator-0123456789")
    (tmp_path / "api-key").unlink()
    for keep in (True, False):
        assert not (await install(await create_database(), keep=keep)).is_new


def test_only_what_is_new_is_shown_where_it_would_stay() -> None:
    old, new = FirstKey("k", "kept in x"), FirstKey("k", "kept in x", is_new=True)
    assert [old.shown(terminal=False), old.shown(terminal=True)] == [None, "k"]
    assert [new.shown(terminal=False), new.shown(terminal=True)] == ["k", "k"]
    assert "'k'" not in repr(old)


async def test_first_start_on_a_terminal_shows_what_it_is_started_for_and_then_what_callers_change(
    data_dir: Path,
) -> None:
    async with serve(data_dir, "--port", "0", on_terminal=True) as process:
        url = (await said(data_dir, r"Swagger UI  (\S+)/docs", process))[1]
        await said(data_dir, r"(?m)^Open ", process)
        text = log_of(data_dir).read_text()
        assert re.search(r"Creating its tables \(\d+ migrations\)", text)
        assert not re.search("Running upgrade|Context impl|changed", text)
        mine = {"JOBTRACK_DATA_DIR": str(data_dir), "JOBTRACK_URL": url}
        assert (await run("keys", "create", "x", "--scope", "read", **mine)).returncode == 0
        await said(data_dir, r"changed.*keys_create", process)


async def test_log_that_is_kept_has_the_migrations_and_who_made_the_first_key(data_dir: Path) -> None:
    async with serve(data_dir, "--port", "0") as process:
        await said(data_dir, "Jobtrack is up", process)
    text = log_of(data_dir).read_text()
    for line in ("Running upgrade  -> 0001", '"projects_create"', '"keys_create"'):
        assert line in text
