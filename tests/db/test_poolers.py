"""PgBouncer in transaction mode: the service starts, its sessions have their settings, and none of them listens."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from app.db.connection import Connection
from app.db.engine import Database, make_engine
from app.db.opening import SESSION_SETTINGS, asyncpg_dsn
from app.db.sessions import STORED, is_shared, missing_settings, store_settings
from app.live.change_feed import ChangeFeed, Listeners
from tests.conftest import CreateDatabase
from tests.service_process import ROOT, ServiceProcess, free_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PGBOUNCER is None, reason="there is no PgBouncer (Debian: apt-get install pgbouncer)"),
]

IGNORING = {
    "ignore_startup_parameters": "statement_timeout,lock_timeout,idle_in_transaction_session_timeout,jit,enable_seqscan"
}
Pooled = Callable[..., Awaitable[str]]


def start_pgbouncer(folder: Path, url: str, port: int, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start a PgBouncer before the server of this URL, as the user that reaches the server's socket."""
    place = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    folder.mkdir()
    (folder / "users.txt").write_text('"jobtrack" ""\n')
    everything = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "trust",
        "auth_file": str(folder / "users.txt"),
        "logfile": str(folder / "log"),
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in everything.items()]
    database = f"* = host={place['host']} port={place['port']} user=jobtrack"
    (folder / "ini").write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines, ""]))
    user = []
    if os.geteuid() == 0:
        owner = pwd.getpwuid(Path(place["host"]).stat().st_uid)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        user = ["-u", owner.pw_name]
    return subprocess.Popen([str(PGBOUNCER), "-q", *user, str(folder / "ini")], stderr=subprocess.DEVNULL)


@asynccontextmanager
async def pgbouncer(folder: Path, url: str, settings: Mapping[str, str]) -> AsyncIterator[str]:
    """A PgBouncer before a database; the value is the URL through it."""
    port = free_port()
    process = start_pgbouncer(folder, url, port, settings)
    try:
        await accepting(process, port)
        yield f"postgresql://jobtrack@127.0.0.1:{port}{urlsplit(url).path}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def accepting(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a process takes connections."""
    async with asyncio.timeout(20):
        while process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)
    raise AssertionError("PgBouncer did not start")


@pytest_asyncio.fixture
async def pooled(room: Path) -> AsyncIterator[Pooled]:
    """Start a PgBouncer before a database; the value is the URL through it."""
    async with AsyncExitStack() as stack:

        async def start(url: str, mode: str = "transaction", **more: str) -> str:
            return await stack.enter_async_context(pgbouncer(room / uuid4().hex[:8], url, {"pool_mode": mode, **more}))

        yield start


async def shown(url: str) -> dict[str, str]:
    """The settings that a unit of work has."""
    database = Database(make_engine(url, pool_size=1))

    async def work(connection: Connection) -> dict[str, str]:
        names = ", ".join(f"'{name}'" for name in SESSION_SETTINGS)
        rows = await connection.driver.fetch(f"SELECT name, setting FROM pg_settings WHERE lower(name) IN ({names})")
        return {row["name"].lower(): row["setting"] for row in rows}

    try:
        return await database.read(work)
    finally:
        await database.close()


async def named(create_database: CreateDatabase, *, migrated: bool = True) -> tuple[str, str]:
    """A database of the test's own: its URL and its name."""
    url = await create_database(migrated=migrated)
    return url, urlsplit(url).path[1:]


def migrate(url: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBTRACK_")}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "migrate"],
        cwd=ROOT,
        env={**environment, "JOBTRACK_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "more", [pytest.param({}, id="refusing", marks=pytest.mark.long), pytest.param(IGNORING, id="ignoring")]
)
async def test_service_starts_through_a_pooler_as_documented(
    create_database: CreateDatabase, pooled: Pooled, room: Path, more: dict[str, str]
) -> None:
    direct, _ = await named(create_database, migrated=False)
    url = await pooled(direct, **more)
    for said in ("The database is up to date now.", "The database was up to date."):
        done = await asyncio.to_thread(migrate, url)
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
    # Sessions that the pooler had opened before have their old settings.
    admin = await asyncpg.connect(asyncpg_dsn(direct))
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await admin.close()
    assert {name: value for name, value in (await shown(url)).items() if name in STORED} == STORED
    service = ServiceProcess(url, room / uuid4().hex[:8])
    try:
        await service.ready()
        async with service.client() as client:
            job_id = (await client.post("/v1/jobs", json={"type": "t"})).json()["id"]
            waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 20}))
            (job,) = (await client.post("/v1/claims", json={"worker": "w", "wait": 10})).json()["jobs"]
            done_answer = await client.post(f"/v1/jobs/{job_id}/complete", json={"token": job["lease"]["token"]})
            assert done_answer.status_code == 200
            assert (await waiting).status_code == 200
            # The feed tries whether it is heard, and has given up by the time it says so.
            async with asyncio.timeout(20):
                while service.log.read_text().count("the change feed hears nothing") != 1:
                    await asyncio.sleep(0.05)
            assert 'jobtrack_listener_up{process="' in (metrics := (await client.get("/metrics")).text)
            assert float(metrics.partition("\njobtrack_listener_up{")[2].split()[1]) == 0
        assert "keeps the settings" not in service.log.read_text()
    finally:
        service.kill()


@pytest.mark.parametrize("more", [{}, IGNORING], ids=["refusing", "ignoring"])
async def test_service_names_the_statements_that_are_missing_once(
    create_database: CreateDatabase, pooled: Pooled, room: Path, more: dict[str, str]
) -> None:
    direct, name = await named(create_database)
    service = ServiceProcess(await pooled(direct, **more), room / uuid4().hex[:8])
    try:
        await service.ready()
        log = service.log.read_text()
        assert log.count("keeps the settings of our sessions") == 1
        # But for those that the server has by default.
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "enable_seqscan"):
            assert f"ALTER ROLE jobtrack IN DATABASE {name} SET {setting} = '{STORED[setting]}'" in log
    finally:
        service.kill()


async def test_direct_connection_misses_nothing(create_database: CreateDatabase) -> None:
    direct, _ = await named(create_database)
    assert await missing_settings(direct) is None
    assert {**await shown(direct), **SESSION_SETTINGS} == await shown(direct)


async def test_settings_are_stored_by_many_at_once_and_for_this_database_alone(
    create_database: CreateDatabase, pooled: Pooled
) -> None:
    (direct, _), (other, _) = [await named(create_database) for _ in range(2)]
    assert await asyncio.gather(*[store_settings(direct) for _ in range(5)]) == [None] * 5
    assert await missing_settings(await pooled(direct)) is None
    assert await missing_settings(await pooled(other)) is not None


async def test_role_that_may_not_alter_itself_is_told_what_to_run(
    create_database: CreateDatabase, admin: "asyncpg.Connection[Any]"
) -> None:
    direct, name = await named(create_database)
    await admin.execute(f"ALTER ROLE jobtrack IN DATABASE {name} SET default_transaction_read_only = on")
    statements = await store_settings(direct)
    assert statements is not None
    done = await asyncio.to_thread(migrate, direct)
    assert done.returncode == 0
    assert statements in done.stderr
    await admin.execute(statements)
    assert await store_settings(direct) is None


async def test_only_a_session_of_our_own_is_listened_on(create_database: CreateDatabase, pooled: Pooled) -> None:
    direct, _ = await named(create_database)
    shared = await pooled(direct, default_pool_size="1")
    by_session = await pooled(direct, "session")
    turns = await pooled(direct, server_round_robin="1")
    assert [await is_shared(url) for url in (direct, by_session, shared, turns)] == [False, False, True, True]
    with capture_logs() as lines:
        feed = ChangeFeed(shared, "us", Listeners(*[lambda *_: None] * 4))
        await feed.start()
        async with asyncio.timeout(20):
            while not lines:
                await asyncio.sleep(0.01)
        await feed.stop()
    assert "JOBTRACK_LISTEN_URL" in lines[0]["event"]
    # The pooler has one session, so this is the one that would listen.
    connection = await asyncpg.connect(shared, statement_cache_size=0)
    assert await connection.fetchval("SELECT count(*) FROM pg_listening_channels()") == 0
    await connection.close()
