"""The calls that a job's page has to copy: they run, do what they say, and hold no key."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dashboard.job.copies import copies_of
from app.domain.job import Documents, Retry
from app.domain.states import JobState
from tests.dialects.samples import sample
from tests.service_process import ROOT, ServiceProcess

HOSTILE = 'it\'s "$(touch x)" `touch x` \\ \n %s -- @/etc/passwd ü'
PAYLOADS: list[Any] = [None, {HOSTILE: [HOSTILE] * 20, "deep": [1, 2.5, True, None]}, -5]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def run(folder: Path, program: str, text: str, service: ServiceProcess) -> str:
    """Run a copied text as a person does who has a key."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    command = tools / "jobtrack"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app.cli "$@"\n')
    command.chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "JOBTRACK_API_KEY": service.api_key,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    process = await asyncio.create_subprocess_exec(
        program,
        "-c",
        text,
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_copied_calls_create_the_same_again(
    tmp_path: Path, service: ServiceProcess, api: httpx.AsyncClient, payload: Any
) -> None:
    name = f"copied {HOSTILE.replace(chr(10), '')}"
    created = (
        await api.post(
            "/v1/jobs",
            json={"type": name, "queue": name, "payload": payload, "priority": 7, "labels": {"team": HOSTILE}},
        )
    ).json()
    assert "id" in created, created
    job = sample(
        JobState.PENDING,
        id=created["id"],
        type=name,
        queue=name,
        priority=7,
        labels={"team": HOSTILE},
        documents=Documents(payload=payload),
    )
    for copied in copies_of(job, service.url):
        assert "$JOBTRACK_API_KEY" in copied.text
        await run(tmp_path, sys.executable if copied.id == "python" else "sh", copied.text, service)
        newest = (await api.get("/v1/jobs", params={"queue": name, "limit": 1})).json()["jobs"][0]
        again = (await api.get(f"/v1/jobs/{newest['id']}")).json()
        assert again["id"] != created["id"]
        for field in ("type", "queue", "payload", "priority", "labels"):
            assert again[field] == created[field], copied.text
        await api.post(f"/v1/jobs/{again['id']}/cancel")
        await api.delete(f"/v1/jobs/{again['id']}")
    assert names_in(tmp_path) <= {"bin", ".cache", ".local"}, "nothing of the job's was run"


def test_copied_calls_hold_what_differs_from_the_defaults() -> None:
    job = sample(JobState.FAILED, engine="airflow", max_attempts=9, retry=Retry(2, 3, 4), collection="c")
    curl, cli, python = (copied.text for copied in copies_of(job, "https://jobs.example.com"))
    for text in (curl, python):
        assert all(word in text for word in ("airflow", "max_attempts", "max_delay_seconds", "collection"))
        assert "priority" not in text
    assert "Not among its options: collection, engine, max_attempts, retry." in cli
