"""openapi-typescript and @hey-api/openapi-ts make of every document what `tsc --strict` takes; programs run on it."""

import shutil
from pathlib import Path

import pytest

from tests.sdk.conftest import DOCUMENTS, HOME, NAMES, PROGRAMS, compile_typescript, copy_programs, run, run_programs
from tests.service_process import ServiceProcess

KINDS = {"types": "openapi_fetch", "sdk": "hey_api"}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both generators' clients for each document, and the native one's programs; compiled."""
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(HOME / "node_modules")
    shutil.copy(PROGRAMS / "generate.mjs", folder)
    printed = run("node", "generate.mjs", *DOCUMENTS, cwd=folder)
    assert "warn" not in printed.lower(), printed
    for kind, programs in KINDS.items():
        copy_programs(programs, folder / kind / "native")
    compile_typescript(folder, noUncheckedIndexedAccess=True)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_document_gives_a_client_that_compiles(clients: Path, kind: str) -> None:
    compiled = {path.name for path in (clients / "out" / kind).iterdir()}
    assert compiled == {*NAMES}


@pytest.mark.parametrize("kind", KINDS)
async def test_producer_and_worker_run_against_a_live_service(
    clients: Path, service: ServiceProcess, kind: str
) -> None:
    await run_programs(service, clients, "node", f"out/{kind}/native/producer.js")
