"""A backup of the embedded database in another data directory: its database, and whose keys are good there."""

import re
from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.cli.serving import log_of, said, serve
from tests.conftest import CreateDatabase


def keep_key(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "api-key").write_text("chosen-by-somebody-0123456789\n")


async def backed_up(data_dir: Path, file: Path) -> str:
    """Start a service, back it up, and return its key."""
    async with serve(data_dir, "--port", "0") as process:
        await said(data_dir, "Jobtrack is up", process)
        made = await run("backup", str(file), JOBTRACK_DATA_DIR=str(data_dir))
        assert made.returncode == 0, made.stderr
    return (data_dir / "api-key").read_text()


async def test_new_machine_needs_no_start_before_the_restore_and_the_old_key(data_dir: Path, tmp_path: Path) -> None:
    key = await backed_up(data_dir, tmp_path / "b")
    new = data_dir.with_name(f"{data_dir.name}n")
    restored = await run("restore", str(tmp_path / "b"), JOBTRACK_DATA_DIR=str(new))
    assert restored.returncode == 0, restored.stderr
    assert "Creating a PostgreSQL" in restored.stderr
    assert f"{new}/api-key is not there. After a restore the keys are those of the backup" in restored.stdout
    (new / "api-key").write_text(key)
    async with serve(new, "--port", "0") as process:
        url = (await said(new, r"Swagger UI  (\S+)/docs", process))[1]
        assert re.search(r"API key     kept in", log_of(new).read_text())
        asked = await run("jobs", "list", "--url", url, JOBTRACK_DATA_DIR=str(new))
        assert asked.returncode == 0, asked.stderr


async def test_key_that_the_restored_database_does_not_know_is_not_named(data_dir: Path, tmp_path: Path) -> None:
    await backed_up(data_dir, tmp_path / "b")
    new = data_dir.with_name(f"{data_dir.name}n")
    await backed_up(new, tmp_path / "thrown-away")
    log_of(new).unlink()
    restored = await run("restore", str(tmp_path / "b"), JOBTRACK_DATA_DIR=str(new))
    sentence = f"{new}/api-key holds one that is not valid here. After a restore the keys are those of the backup"
    assert (restored.returncode, sentence in restored.stdout) == (0, True), restored.stderr
    async with serve(new, "--port", "0", on_terminal=True) as process:
        await said(new, r"(?m)^Open ", process)
        text = log_of(new).read_text()
        assert sentence in text
        assert "kept in" not in text
    demo = await run("serve", "--port", "0", "--demo", JOBTRACK_DATA_DIR=str(new))
    assert (demo.returncode, sentence in demo.stderr) == (3, True), demo.stderr


@pytest.mark.long
async def test_backup_without_a_key_leaves_the_first_key_to_the_next_start(
    data_dir: Path, create_database: CreateDatabase, tmp_path: Path
) -> None:
    keep_key(data_dir)
    for migrated in (False, True):
        file = tmp_path / f"b{migrated}"
        made = await run("backup", str(file), JOBTRACK_DATABASE_URL=await create_database(migrated=migrated))
        assert made.returncode == 0, made.stderr
        restored = await run("restore", str(file), JOBTRACK_DATA_DIR=str(data_dir))
        assert (restored.returncode, "api-key" in restored.stdout) == (0, False), restored.stderr
