"""Each vendor's real client works unchanged, and would notice if the dialect said one word differently."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from app.dialects import names
from tests.service_process import ServiceProcess
from tests.vendors.conftest import CLIENTS, PROGRAMS, ClientPython
from tests.vendors.rewriting_proxy import rewriting_proxy

PROGRAM_SECONDS = 90

MISTAKES = {
    "captain": [(b'"files_page"', b'"page"'), (b'"completed_with_failures"', b'"completed_with_errors"')],
    "docent": [(b'"job_id"', b'"id"'), (b'"pending"', b'"queued"')],
    "fifthelement": [(b'"createdAt"', b'"created_at"'), (b'"status":"running"', b'"status":"active"')],
    "immuta": [(b'"state"', b'"status"'), (b'"created"', b'"pending"')],
    "llamacloud": [(b'"progress_percentage"', b'"progress"'), (b'"dispatched"', b'"queued"')],
}
"""For each dialect a field renamed and a status word changed."""


async def run(python: Path, name: str, service: ServiceProcess, client_url: str) -> subprocess.CompletedProcess[str]:
    """Run a client's program to its end, in a project of its own: what one leaves behind is not another's work."""
    async with service.client() as api:
        project = (await api.post("/v1/projects", json={"name": name})).json()["id"]
        scopes = ["read", "submit", "work"]
        key = (await api.post("/v1/keys", json={"name": name, "scopes": scopes, "project_id": project})).json()["key"]
    environment = {
        # Nothing of ours, and no proxy or key of the developer's.
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "CLIENT_URL": client_url,
        "NATIVE_URL": service.url,
        "API_KEY": key,
    }
    command = [str(python), "-W", "ignore", str(PROGRAMS / f"use_{name}.py")]

    def work() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=PROGRAM_SECONDS
        )

    return await asyncio.to_thread(work)


def test_every_dialect_has_its_client_and_its_mistakes() -> None:
    assert set(CLIENTS) == set(MISTAKES) == set(names())


@pytest.mark.parametrize("name", CLIENTS)
async def test_real_client_works_unchanged(service: ServiceProcess, client_python: ClientPython, name: str) -> None:
    python = await asyncio.to_thread(client_python, name)
    done = await run(python, name, service, service.url)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]


@pytest.mark.parametrize(
    ("name", "found", "put"), [(name, *words) for name, all_words in MISTAKES.items() for words in all_words]
)
async def test_mistake_in_one_word_is_noticed(
    service: ServiceProcess, client_python: ClientPython, name: str, found: bytes, put: bytes
) -> None:
    python = await asyncio.to_thread(client_python, name)
    async with rewriting_proxy(service.url, {found: put}) as url:
        done = await run(python, name, service, url)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Error" in done.stderr, done.stderr


@pytest.mark.parametrize("name", CLIENTS)
async def test_proxy_by_itself_changes_nothing(service: ServiceProcess, client_python: ClientPython, name: str) -> None:
    python = await asyncio.to_thread(client_python, name)
    async with rewriting_proxy(service.url, {}) as url:
        done = await run(python, name, service, url)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
