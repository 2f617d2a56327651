"""Each dialect can be switched off, and a slip of the finger is told before the port opens."""

import asyncio
import os
import subprocess
import sys

import pytest

from app.dialects import UnknownDialectError, names, read_names
from tests.conftest import StartService
from tests.service_process import ROOT

READS = {
    "captain": "/v2/jobs",
    "docent": "/rest/api-keys/test",
    "fifthelement": "/v1/api/jobs/x",
    "llamacloud": "/api/v1/beta/batch-processing",
}


@pytest.mark.parametrize("spoken", ["docent, IMMUTA", "none"])
async def test_only_what_is_named_is_spoken(start_service: StartService, spoken: str) -> None:
    service = await start_service(JOBTRACK_DIALECTS=spoken)
    async with service.client() as api:
        assert (await api.get("/v1/jobs")).status_code == 200
        for name, path in READS.items():
            answer = await api.get(path)
            if name in spoken:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 404
                assert answer.json()["code"] == "not_found", "the native shape"
            document = await api.get(f"/dialects/{name}/openapi.json")
            assert document.status_code == (200 if name in spoken else 404)
        statuses = await api.post("/jobs/statuses", json={"jobIds": []})
        assert statuses.status_code == (404 if spoken == "none" else 200)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", ()), ("none", ()), ("captain", ("captain",)), (" Immuta,,docent , immuta", ("immuta", "docent"))],
)
def test_names_are_read(text: str, found: tuple[str, ...]) -> None:
    assert read_names(text) == found


@pytest.mark.parametrize(("text", "hint"), [("dozent", "docent"), ("x", ", ".join(names())), ("none,docent", "none")])
def test_unknown_name_is_refused_with_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UnknownDialectError, match=hint):
        read_names(text)


async def test_unknown_name_stops_the_start() -> None:
    environment = {**os.environ, "JOBTRACK_DIALECTS": "immuta,lama", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]

    def work() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)

    done = await asyncio.to_thread(work)
    assert done.returncode == 3
    assert "JOBTRACK_DIALECTS is wrong: lama is no dialect of Jobtrack" in done.stderr
