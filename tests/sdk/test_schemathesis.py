"""schemathesis over every document: generated requests, right and wrong, alone and in sequences, and nothing amiss."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import StartService
from tests.sdk.conftest import BIN, DOCUMENTS, run
from tests.service_process import ROOT

pytestmark = pytest.mark.long

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = "tests.sdk.programs.schemathesis_hooks"
SECONDS = {"native": 60}
OTHERS_SECONDS = 20
"""In total less than three minutes."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.stem))
async def test_document_holds_for_generated_requests(
    document: Path, start_service: StartService, tmp_path: Path
) -> None:
    service = await start_service()
    seconds = SECONDS.get(document.stem, OTHERS_SECONDS)
    command = (
        *(BIN / "schemathesis", "--config-file", CONFIGURATION, "run", document, "--url", service.url),
        *("--header", f"Authorization:Bearer {service.api_key}"),
        *("--seed", "1", "--max-examples", "15", "--max-time", seconds, "--request-timeout", "30"),
        # They have no end.
        *("--exclude-path-regex", "^/v1/events$|/stream$"),
    )
    environment = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS}
    await asyncio.to_thread(run, *command, cwd=tmp_path, environment=environment, seconds=seconds + 60)
