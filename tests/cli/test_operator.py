"""What operators do: backup and restore, psql, the doctor, and a schema that is newer than the code."""

import asyncio
import json
import stat
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import typer

from app.cli import postgres_tools
from app.db import migrate
from app.db.engine import Database, make_engine
from app.domain.states import JobState
from tests import factories
from tests.cli.commands import run
from tests.cli.serving import log_of, said, serve
from tests.service_process import ServiceProcess

CreateDatabase = Callable[..., Awaitable[str]]
StartService = Callable[..., Awaitable[ServiceProcess]]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def as_admin(url: str) -> str:
    """The address with a password, which the tests' server does not ask for."""
    return url.replace("//jobtrack@", "//jobtrack:s3cret-w0rd@")


async def with_job(url: str, **columns: Any) -> Any:
    database = Database(make_engine(url, pool_size=1))
    async with database.transaction() as connection:
        made = await factories.job(connection, await factories.project(connection), items=3, **columns)
    await database.close()
    return made.id


async def jobs_of(url: str) -> set[Any]:
    connection = await asyncpg.connect(url)
    try:
        return {row[0] for row in await connection.fetch("SELECT id FROM jobs")}
    finally:
        await connection.close()


@pytest.mark.parametrize("command", ["serve", "migrate", "doctor"])
async def test_schema_that_is_newer_than_the_code_is_one_sentence(database_url: str, command: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    options = ("--port", "0") if command == "serve" else ()
    ended = await run(command, *options, JOBTRACK_DATABASE_URL=database_url)
    assert ended.returncode == 3
    [line] = ended.stderr.splitlines()
    assert line.startswith("jobtrack: The database's schema (9999) is newer than this version of Jobtrack")


async def test_embedded_schema_that_is_newer_is_one_sentence_too(database_url: str) -> None:
    """The embedded database is upgraded at each start."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    with pytest.raises(migrate.NewerSchemaError, match="newer than this version"):
        await asyncio.to_thread(migrate.upgrade, database_url)


async def test_backup_restored_elsewhere_has_everything(
    database_url: str, create_database: CreateDatabase, tmp_path: Path
) -> None:
    job = await with_job(database_url)
    file = tmp_path / "jobtrack.backup"

    made = await run("backup", str(file), JOBTRACK_DATABASE_URL=as_admin(database_url))

    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names_in(tmp_path) == [file.name]
    again = await run("backup", str(file), JOBTRACK_DATABASE_URL=database_url)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    for migrated in (False, True):
        other = await create_database(migrated=migrated)
        restored = await run("restore", str(file), JOBTRACK_DATABASE_URL=other)
        assert restored.returncode == 0, restored.stderr
        assert await jobs_of(other) == {job}
        assert await asyncio.to_thread(migrate.is_current, other)


async def test_restore_replaces_jobs_only_when_told_to_and_then_all(
    database_url: str, create_database: CreateDatabase, tmp_path: Path
) -> None:
    job, file = await with_job(database_url), tmp_path / "b"
    assert (await run("backup", str(file), JOBTRACK_DATABASE_URL=database_url)).returncode == 0
    other = await create_database(migrated=True)
    there = await with_job(other)

    refused = await run("restore", str(file), JOBTRACK_DATABASE_URL=other)
    assert (refused.returncode, await jobs_of(other)) == (2, {there})
    assert "--yes" in refused.stderr
    truncated = tmp_path / "truncated"
    truncated.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    failed = await run("restore", str(truncated), "--yes", JOBTRACK_DATABASE_URL=other)
    assert (failed.returncode, await jobs_of(other)) == (3, {there})
    assert failed.stderr.count("\n") == 1
    assert (await run("restore", str(file), "--yes", JOBTRACK_DATABASE_URL=other)).returncode == 0
    assert await jobs_of(other) == {job}


async def test_backup_of_an_older_version_is_restored_and_upgraded(
    create_database: CreateDatabase, tmp_path: Path
) -> None:
    old, other = await create_database(migrated=False), await create_database(migrated=True)
    await asyncio.to_thread(migrate.upgrade, old, "0009")
    job = await with_job(old, state=JobState.COMPLETED)
    assert (await run("backup", str(tmp_path / "old"), JOBTRACK_DATABASE_URL=old)).returncode == 0
    assert (await run("restore", str(tmp_path / "old"), JOBTRACK_DATABASE_URL=other)).returncode == 0
    migrated = await run("migrate", JOBTRACK_DATABASE_URL=other)
    assert migrated.returncode == 0, migrated.stderr
    assert await jobs_of(other) == {job}


async def test_restore_waits_for_no_service(start_service: StartService, tmp_path: Path) -> None:
    service = await start_service()
    (tmp_path / "b").write_bytes(b"PGDMP")
    refused = await run("restore", str(tmp_path / "b"), "--yes", JOBTRACK_DATABASE_URL=service.database_url)
    assert refused.returncode == 3
    assert "stop the service first" in refused.stderr


async def test_psql_speaks_to_the_database(database_url: str) -> None:
    ended = await run("psql", "-tAc", "SELECT count(*) FROM looks", JOBTRACK_DATABASE_URL=as_admin(database_url))
    assert (ended.returncode, ended.stdout) == (0, "1\n"), ended.stderr


async def test_embedded_database_is_backed_up_while_it_runs_and_while_it_does_not(
    data_dir: Path, tmp_path: Path
) -> None:
    async with serve(data_dir, "--port", "0") as process:
        await said(data_dir, "Jobtrack is up", process)
        running = await run("backup", str(tmp_path / "running"), JOBTRACK_DATA_DIR=str(data_dir))
        assert running.returncode == 0, running.stderr
        assert running.stdout.endswith(f" bytes: the embedded database in {data_dir}.\n")
        asked = await run("psql", "-tAc", "SELECT count(*) FROM keys", JOBTRACK_DATA_DIR=str(data_dir))
        assert (asked.returncode, asked.stdout) == (0, "1\n"), asked.stderr
        refused = await run("restore", str(tmp_path / "running"), JOBTRACK_DATA_DIR=str(data_dir))
        assert (refused.returncode, "stop it first" in refused.stderr) == (3, True)
        healthy = await run("doctor", JOBTRACK_DATA_DIR=str(data_dir))
        assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    restored = await run("restore", str(tmp_path / "running"), JOBTRACK_DATA_DIR=str(data_dir))
    assert (restored.returncode, "api-key" in restored.stdout) == (0, False), restored.stderr
    async with serve(data_dir, "--port", "0") as process:
        await said(data_dir, r"(?s)Jobtrack is up.*Jobtrack is up", process)
    assert "restored into another cluster" not in log_of(data_dir).read_text()


@pytest.mark.parametrize("command", [("backup", "new"), ("psql",), ("doctor",)], ids=lambda one: one[0])
async def test_place_without_a_database_is_said(tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = await run(*command, JOBTRACK_DATA_DIR=str(tmp_path))
    assert ended.returncode == 3
    assert ended.stderr.startswith("jobtrack: There is no database in ")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("majors", "expected"), [((15, 18), 18), ((18,), 18), ((17, 19), 19), ((15,), None), ((), None)]
)
def test_tools_of_the_server_s_version_or_a_newer_one_are_used(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    majors: tuple[int, ...],
    expected: int | None,
) -> None:
    for major in majors:
        (tmp_path / str(major)).mkdir()
        program = tmp_path / str(major) / "pg_dump"
        program.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {major}.1'\n")
        program.chmod(0o755)
    monkeypatch.setattr(postgres_tools, "_folders", lambda: [tmp_path / str(major) for major in majors])
    if expected is not None:
        tools = postgres_tools.find_tools("pg_dump", "postgresql://u:p%40w@h/d", 18)
        assert (tools.major, tools.url, tools.environment["PGPASSWORD"]) == (expected, "postgresql://u@h/d", "p@w")
        return
    with pytest.raises(typer.Exit) as ended:
        postgres_tools.find_tools("pg_dump", "postgresql://u@h/d", 18)
    assert ended.value.exit_code == 3
    sentence = capsys.readouterr().err
    assert ("is older than the server" if majors else "is not installed") in sentence
    assert "postgresql-client-18" in sentence


async def test_doctor_finds_nothing_in_a_healthy_database_and_says_what_is_wrong(database_url: str) -> None:
    healthy = await run("doctor", "--json", JOBTRACK_DATABASE_URL=database_url)
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    checks = {check["name"]: check for check in json.loads(healthy.stdout)["checks"]}
    assert set(checks) == {"database", "schema", "retention", "feed", "disk", "pooler", "clock", "settings"}
    assert all(check["ok"] and check["finding"].endswith(".") for check in checks.values())
    await asyncio.to_thread(migrate.downgrade, database_url, "0009")
    await with_job(database_url, state=JobState.COMPLETED)
    old = await run("doctor", JOBTRACK_DATABASE_URL=database_url)
    assert (old.returncode, "run `jobtrack migrate`" in old.stdout) == (3, True)
    await asyncio.to_thread(migrate.upgrade, database_url)
    kept = await run("doctor", JOBTRACK_DATABASE_URL=database_url, JOBTRACK_PROT="1")
    assert (kept.returncode, "would delete 0 ended jobs" in kept.stdout) == (3, True)
    assert "did you mean JOBTRACK_PORT?" in kept.stdout


async def test_bundle_holds_no_secret(database_url: str, tmp_path: Path) -> None:
    key, file = "bootstrap-key-that-nobody-may-read-0123", tmp_path / "bundle.tar.gz"
    (tmp_path / "api-key").write_text("jt_plain-key-in-the-data-directory-01\n")
    (tmp_path / "postgres.log").write_text(
        f"connection of s3cret-w0rd\nwith {key}\nBearer jt_plain-key-in-the-data-directory-01\nordinary line\n"
    )
    made = await run(
        "doctor",
        *("--bundle", str(file)),
        JOBTRACK_DATABASE_URL=as_admin(database_url),
        JOBTRACK_DATA_DIR=str(tmp_path),
        JOBTRACK_BOOTSTRAP_KEY=key,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        members = {Path(member.name).name: archive.extractfile(member) for member in archive.getmembers()}
        texts = {name: content.read().decode() for name, content in members.items() if content is not None}
    assert set(texts) == {"checks.json", "settings.json", "machine.json", "database.json", "postgres.log"}
    assert "ordinary line" in texts["postgres.log"]
    assert any(table["name"] == "jobs" for table in json.loads(texts["database.json"])["tables"])
    everything = "".join(texts.values())
    for secret in (key, "s3cret-w0rd", "jt_plain"):
        assert secret not in everything


async def test_start_says_how_many_jobs_an_old_database_keeps(database_url: str, start_service: StartService) -> None:
    await asyncio.to_thread(migrate.downgrade, database_url, "0009")
    await with_job(database_url, state=JobState.COMPLETED, completed_at=factories.in_seconds(-40 * 86_400))
    await asyncio.to_thread(migrate.upgrade, database_url)
    service = await start_service()
    assert "would delete 1 ended jobs" in service.log.read_text()
    service.stop()
    chosen = await start_service(JOBTRACK_KEEP_DAYS="99")
    assert "would delete" not in chosen.log.read_text()


async def test_level_and_form_of_the_log_are_settings(start_service: StartService) -> None:
    service = await start_service(JOBTRACK_LOG_LEVEL="debug", JOBTRACK_LOG_FORMAT="json", JOBTRACK_LOG_LEVLE="x")
    async with service.client() as client:
        jobs = [{"type": "t"} for _ in range(7)]
        assert (await client.post("/v1/jobs/batch", json={"jobs": jobs})).status_code == 200
        lines: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while not any(line.get("created") == 7 for line in lines):
                await asyncio.sleep(0.02)
                texts = service.log.read_text().splitlines()
                lines = [json.loads(text) for text in texts if text.startswith("{")]
    assert any("did you mean JOBTRACK_LOG_LEVEL?" in line["message"] for line in lines)
    quiet = await start_service(JOBTRACK_LOG_LEVEL="error", JOBTRACK_LOG_FORMAT="text", JOBTRACK_LOG_LEVLE="x")
    assert "LEVLE" not in quiet.log.read_text()
    wrong = await run("serve", JOBTRACK_LOG_LEVEL="loud", JOBTRACK_DATABASE_URL=service.database_url)
    assert (wrong.returncode, "JOBTRACK_LOG_LEVEL is wrong" in wrong.stderr) == (3, True)
