"""A PostgreSQL for the session, databases cut from one migrated template, and services as real processes on them."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from app.db import migrate
from app.db.engine import Database, make_engine
from app.embedded import EmbeddedPostgres
from app.runtime import Runtime
from app.web.deps import Services
from tests.service_process import ServiceProcess

TEMPLATE = "jobtrack_template"
CreateDatabase = Callable[..., Awaitable[str]]
StartService = Callable[..., Awaitable[ServiceProcess]]


@pytest.fixture(scope="session", autouse=True)
def _no_settings() -> Iterator[None]:
    """What a developer has set for an own service is not for the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if (name.startswith("JOBTRACK_") and not name.startswith("JOBTRACK_TEST_")) or name == "DATABASE_URL":
                patch.delenv(name)
        yield


def _room() -> str:
    """Where databases are written ten times faster than on a disk, if it is large and lets programs run."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 and not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return str(memory)
    return tempfile.gettempdir()


@pytest.fixture(scope="session")
def room() -> Iterator[Path]:
    """A private folder of the session that the server's user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="jt-session-", dir=_room())).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(room: Path) -> Iterator[EmbeddedPostgres]:
    """One real PostgreSQL for all tests."""
    chosen = os.environ.get("JOBTRACK_TEST_PG_BINDIR")
    with EmbeddedPostgres(room / "database", bindir=Path(chosen) if chosen else None) as running:
        yield running


def database_of(server: EmbeddedPostgres, name: str) -> str:
    """The URL of one of the server's databases, as its ordinary user."""
    return server.url.replace("@/jobtrack?", f"@/{name}?")


@pytest_asyncio.fixture(scope="session")
async def admin(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's connection, which creates and drops databases."""
    connection = await asyncpg.connect(server.admin_url)
    yield connection
    await connection.close()


@pytest_asyncio.fixture(scope="session")
async def template(server: EmbeddedPostgres, admin: asyncpg.Connection) -> str:
    """A migrated database that nobody connects to, so that it can be copied."""
    await admin.execute(f"CREATE DATABASE {TEMPLATE} OWNER jobtrack")
    await asyncio.to_thread(migrate.upgrade, database_of(server, TEMPLATE))
    return TEMPLATE


@pytest_asyncio.fixture(scope="session")
async def create_database(
    server: EmbeddedPostgres, admin: asyncpg.Connection, template: str
) -> AsyncIterator[CreateDatabase]:
    """Make a database of the caller's own: migrated, or empty with `migrated=False`. Dropped by the session's end."""

    async def create(*, migrated: bool = True) -> str:
        name = f"jt_{uuid4().hex[:12]}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template if migrated else 'template0'} OWNER jobtrack")
        return database_of(server, name)

    yield create


@pytest_asyncio.fixture
async def database_url(create_database: CreateDatabase, admin: asyncpg.Connection) -> AsyncIterator[str]:
    """A new migrated database for one test."""
    url = await create_database()
    yield url
    name = url.partition("@/")[2].partition("?")[0]
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's database as the service uses it."""
    opened = Database(make_engine(database_url, pool_size=8))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def runtime(database_url: str) -> AsyncIterator[Runtime]:
    """The whole service on the test's own database, without HTTP, in the test's process."""
    one = Runtime(database_url, pool_size=4)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def core(runtime: Runtime) -> Services:
    """What the routes call."""
    return runtime.services


@pytest.fixture(scope="session")
def _processes() -> Iterator[list[ServiceProcess]]:
    """Every service of the session; whatever a test left running ends here."""
    started: list[ServiceProcess] = []
    yield started
    for one in started:
        one.kill()


@pytest_asyncio.fixture(scope="session")
async def service(
    create_database: CreateDatabase, room: Path, _processes: list[ServiceProcess]
) -> AsyncIterator[ServiceProcess]:
    """A service in a process of its own, shared by the tests that talk to it over a socket."""
    one = ServiceProcess(await create_database(), room / "service")
    _processes.append(one)
    await one.ready()
    yield one
    one.stop()


SMALL_ANSWER = 65_536
"""Bytes."""


@pytest_asyncio.fixture(scope="session")
async def small_service(
    create_database: CreateDatabase, room: Path, _processes: list[ServiceProcess]
) -> AsyncIterator[ServiceProcess]:
    """A service whose answers may have no more than `SMALL_ANSWER` bytes."""
    settings = {"JOBTRACK_MAX_ANSWER_BYTES": str(SMALL_ANSWER)}
    one = ServiceProcess(await create_database(), room / "small-service", settings)
    _processes.append(one)
    await one.ready()
    yield one
    one.stop()


@pytest_asyncio.fixture
async def api(service: ServiceProcess) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared service, with its key."""
    async with service.client() as client:
        yield client


@pytest_asyncio.fixture
async def start_service(database_url: str, room: Path, _processes: list[ServiceProcess]) -> AsyncIterator[StartService]:
    """Start services on the test's own database; all share one key. Settings are given as `JOBTRACK_...="value"`."""
    mine: list[ServiceProcess] = []

    async def start(**settings: str) -> ServiceProcess:
        one = ServiceProcess(database_url, room / uuid4().hex[:8], settings)
        mine.append(one)
        _processes.append(one)
        await one.ready()
        return one

    yield start
    for one in mine:
        one.kill()
