"""openapi-python-client makes of every document a whole client that passes mypy; on the native one programs run."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sdk.conftest import BIN, DOCUMENTS, NAMES, check_types, copy_programs, run, run_programs
from tests.service_process import ServiceProcess


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for each document, and the native one's programs."""
    folder = tmp_path_factory.mktemp("openapi_python_client")
    # What it would run afterwards only formats.
    (folder / "config.yml").write_text("post_hooks: []\n")

    def generate(document: Path) -> None:
        package = "jobtrack_api" if document.stem == "native" else document.stem
        run(
            *(BIN / "openapi-python-client", "generate", "--meta", "none", "--fail-on-warning"),
            *("--config", "config.yml", "--path", document, "--output-path", package),
            cwd=folder,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(generate, DOCUMENTS))
    copy_programs("openapi_python_client", folder)
    return folder


def test_every_document_gives_a_client_without_a_warning_that_passes_mypy(clients: Path) -> None:
    packages = {path.parent.name for path in clients.glob("*/client.py")}
    assert packages == {*NAMES} - {"native"} | {"jobtrack_api"}
    check_types(clients, ".")


async def test_producer_and_worker_run_against_a_live_service(clients: Path, service: ServiceProcess) -> None:
    await run_programs(service, clients, BIN / "python", "producer.py")
