"""Starting, stopping, being killed and being two at once."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.embedded import AlreadyRunningError, EmbeddedPostgres
from tests.embedded.conftest import Service, bindir, eventually, postmasters, sql

Start = Callable[..., Service]


def test_it_serves_and_leaves_nothing_behind(place: Path, start: Start) -> None:
    data_dir = place / "data"
    service = start(data_dir, fresh=True)
    url = service.url()
    sql(url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
    assert sql(url, "SELECT current_user || ' ' || current_setting('is_superuser')") == "jobtrack off"
    assert sql(url, "SHOW fsync") == "on"
    assert sql(url, "SHOW server_encoding") == "UTF8"

    (server,) = postmasters(data_dir)
    assert server.uids().effective != 0
    assert not server.net_connections(kind="inet")
    assert os.getsid(server.pid) != os.getsid(service.process.pid)
    for private in ("postgres", "run"):
        assert (data_dir / private).stat().st_mode & 0o777 == 0o700

    service.stop()
    assert not postmasters(data_dir)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()

    again = start(data_dir)
    assert sql(again.url(), "SELECT n FROM t ORDER BY n LIMIT 1") == "1"
    again.stop()


def test_a_second_service_is_told_the_first_ones_pid(place: Path, start: Start) -> None:
    data_dir = place / "data"
    first = start(data_dir)
    first.url()
    kind, message = start(data_dir).refusal()
    assert kind == "AlreadyRunningError"
    assert f"process {first.process.pid}" in message
    assert len(postmasters(data_dir)) == 1


def test_of_services_that_start_together_one_wins(seeded: Path, as_me: Start) -> None:
    started = [as_me(seeded) for _ in range(4)]
    outcomes = [
        next(line for line in iter(service.lines.get, None) if {"url", "error"} & line.keys()) for service in started
    ]
    assert sorted(line.get("error", "started") for line in outcomes) == ["AlreadyRunningError"] * 3 + ["started"]
    assert len(postmasters(seeded)) == 1


def test_a_server_left_by_a_killed_service_is_adopted(place: Path, start: Start) -> None:
    data_dir = place / "data"
    service = start(data_dir)
    url = service.url()
    sql(url, "CREATE TABLE t (n int)")
    (server,) = postmasters(data_dir)
    for number in range(3):
        service.kill()
        service = start(data_dir)
        assert service.url() == url
        sql(url, f"INSERT INTO t VALUES ({number})")
        assert [process.pid for process in postmasters(data_dir)] == [server.pid]
    assert sql(url, "SELECT count(*) FROM t") == "3"
    service.stop()
    assert not postmasters(data_dir)


def test_a_service_killed_at_any_moment_of_its_first_start_leaves_no_half(place: Path, as_me: Start) -> None:
    data_dir = place / "data"
    service = as_me(data_dir)
    service.until("log")
    eventually(lambda: list(data_dir.glob(".creating-*")), "the creation")
    service.kill()
    assert not (data_dir / "postgres").exists()

    service = as_me(data_dir)
    sql(service.url(), "SELECT 1")
    assert not list(data_dir.glob(".creating-*"))
    service.stop()


def test_programs_that_go_on_creating_without_their_service_are_ended(place: Path) -> None:
    leftover = place / "data" / ".creating-before"
    leftover.mkdir(parents=True)
    # initdb names the folder, and the server that it runs stands in it.
    at_work = [
        subprocess.Popen(["sh", "-c", "sleep 60; :", str(leftover)]),
        subprocess.Popen(["sleep", "60"], cwd=leftover),
    ]
    bystander = subprocess.Popen(["sleep", "60"], cwd=place)
    try:
        with EmbeddedPostgres(place / "data", bindir=bindir()) as server:
            assert sql(server.url, "SELECT 1") == "1"
        assert all(process.poll() is not None for process in at_work)
        assert bystander.poll() is None
        assert not leftover.exists()
    finally:
        for process in (*at_work, bystander):
            process.kill()
            process.wait()


def test_a_killed_server_is_started_again(place: Path, start: Start) -> None:
    data_dir = place / "data"
    service = start(data_dir)
    url = service.url()
    sql(url, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
    for restarts in (1, 2):
        (server,) = postmasters(data_dir)
        server.kill()
        eventually(lambda r=restarts: f"(restart {r})" in service.until("log")["log"], "the restart")  # type: ignore[misc]
        assert sql(url, "SELECT n FROM t") == "1"
        assert [process.pid for process in postmasters(data_dir)] != [server.pid]
    assert service.stop()["restarts"] == 2
    assert not postmasters(data_dir)


def test_an_adopted_server_is_watched_too(seeded: Path, as_me: Start) -> None:
    data_dir = seeded
    service = as_me(data_dir)
    service.url()
    service.kill()
    service = as_me(data_dir)
    url = service.url()
    (server,) = postmasters(data_dir)
    server.kill()
    eventually(lambda: "(restart 1)" in service.until("log")["log"], "the restart")
    assert sql(url, "SELECT 1") == "1"
    service.stop()


def test_a_query_that_outlives_its_killed_server_does_not_keep_the_next_one_out(seeded: Path) -> None:
    lines: list[str] = []
    with EmbeddedPostgres(seeded, bindir=bindir(), log=lines.append) as server:
        # Counts without ever waiting, so that it does not notice that its parent is gone.
        endless = socket.socket(socket.AF_UNIX)
        endless.connect(str(seeded / "run" / ".s.PGSQL.5432"))
        login = b"user\0jobtrack\0database\0jobtrack\0\0"
        endless.sendall((len(login) + 8).to_bytes(4) + (196608).to_bytes(4) + login)
        query = b"SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b\0"
        endless.sendall(b"Q" + (len(query) + 4).to_bytes(4) + query)
        busy = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1,%' AND pid <> pg_backend_pid()"
        )
        eventually(lambda: sql(server.admin_url, busy) == "1", "the query")

        (postmaster,) = postmasters(seeded)
        postmaster.kill()
        eventually(lambda: server.restarts == 1, "the restart")
        assert any("the killed PostgreSQL left busy" in line for line in lines)
        assert sql(server.url, "SELECT 1") == "1"
        endless.close()


def test_a_server_that_hangs_is_replaced(seeded: Path, as_me: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    service = as_me(seeded)
    service.url()
    service.kill()
    (hung,) = postmasters(seeded)
    hung.suspend()
    monkeypatch.setattr("app.embedded.supervisor._ADOPT_SECONDS", 0.2)
    monkeypatch.setattr("app.embedded.postmaster._PROBE_SECONDS", 0.1)
    monkeypatch.setattr("app.embedded.postmaster._FAST_STOP_SECONDS", 0.2)
    monkeypatch.setattr("app.embedded.postmaster._IMMEDIATE_STOP_SECONDS", 0.2)
    with EmbeddedPostgres(seeded, bindir=bindir()) as server:
        assert sql(server.url, "SELECT 1") == "1"
        assert [process.pid for process in postmasters(seeded)] != [hung.pid]


def test_ctrl_c_does_not_stop_the_server_before_the_drain(place: Path, start: Start) -> None:
    data_dir = place / "data"
    service = start(data_dir)
    sql(service.url(), "CREATE TABLE t (n int)")
    os.killpg(service.process.pid, signal.SIGINT)
    assert service.until("drained")["drained"]
    service.until("stopped")
    assert not postmasters(data_dir)

    again = start(data_dir)
    assert sql(again.url(), "SELECT n FROM t") == "99"
    again.stop()


def test_a_pid_file_whose_number_belongs_to_another_program_is_no_server(seeded: Path, as_me: Start) -> None:
    data_dir = seeded
    service = as_me(data_dir)
    url = service.url()
    sql(url, "CREATE TABLE t (n int)")
    (server,) = postmasters(data_dir)
    owner = server.uids().effective
    service.kill()
    text = (data_dir / "postgres" / "postmaster.pid").read_text()
    server.kill()
    eventually(lambda: not postmasters(data_dir), "the end of the server")

    # PostgreSQL takes a living process of its own user for a server, so the stranger has to be of that user.
    stranger = subprocess.Popen(["sleep", "60"], user=owner)
    try:
        (data_dir / "postgres" / "postmaster.pid").write_text(text.replace(str(server.pid), str(stranger.pid), 1))
        service = as_me(data_dir)
        assert sql(service.url(), "SELECT count(*) FROM t") == "0"
        assert stranger.poll() is None
        service.stop()
    finally:
        stranger.kill()
        stranger.wait()


def test_stop_may_be_called_at_any_time(seeded: Path) -> None:
    server = EmbeddedPostgres(seeded, bindir=bindir())
    server.stop()
    assert server.start() == server.start()
    with pytest.raises(AlreadyRunningError):
        EmbeddedPostgres(seeded, bindir=bindir()).start()
    server.stop()
    server.stop()
    assert sql(server.start(), "SELECT 1") == "1"
    server.stop()
    assert not postmasters(seeded)
